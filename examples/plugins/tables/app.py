from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import tables as wit

import table
from table import Table, Wrong


def numbers(values: list[float] | None) -> wit.Numbers | None:
    return wit.Numbers(**table.statistics_of(values)) if values else None


def read(text: str) -> Table:
    try:
        return Table.read(text)
    except Wrong as wrong:
        raise Err(str(wrong))


class Tables(exports.Tables):
    def describe(self, csv: str) -> wit.Summary:
        whole = read(csv)
        columns = []
        for at, name in enumerate(whole.names):
            cells = whole.cells(at)
            filled = [cell for cell in cells if cell]
            columns.append(
                wit.Column(
                    name=name,
                    filled=len(filled),
                    empty=len(cells) - len(filled),
                    distinct=len(set(filled)),
                    numbers=numbers(table.all_numbers(cells)),
                    most=[wit.Often(value, count) for value, count in table.most(cells)],
                )
            )
        return wit.Summary(len(whole.rows), columns)

    def group(self, csv: str, by: str, column: str) -> list[wit.Part]:
        try:
            groups = table.groups(read(csv), by, column)
        except Wrong as wrong:
            raise Err(str(wrong))
        return [wit.Part(value, len(cells), numbers(table.numbers(cells))) for value, cells in groups]

    def rows(self, csv: str, column: str, order: wit.Order | None, limit: int | None) -> str:
        whole = read(csv)
        descending = order == wit.Order.DESCENDING
        try:
            picked = table.ordered(whole, column, descending, 10 if limit is None else limit)
        except Wrong as wrong:
            raise Err(str(wrong))
        return whole.text(picked)
