"""Tables as text. Plain Python, which every interpreter can test."""

import csv
import io
import statistics
from collections import Counter
from dataclasses import dataclass

DELIMITERS = ",;\t|"


class Wrong(Exception):
    """What the caller can put right."""


@dataclass
class Table:
    names: list[str]
    rows: list[list[str]]

    @staticmethod
    def read(text: str) -> "Table":
        head = text.split("\n", 1)[0]
        delimiter = max(DELIMITERS, key=head.count)
        lines = [line for line in csv.reader(io.StringIO(text), delimiter=delimiter) if line]
        if not lines:
            raise Wrong("the table is empty: its first line names the columns")
        names = [name.strip() for name in lines[0]]
        for number, line in enumerate(lines[1:], 2):
            if len(line) != len(names):
                raise Wrong(f"row {number} has {len(line)} cells, and there are {len(names)} columns")
        return Table(names, [[cell.strip() for cell in line] for line in lines[1:]])

    def index(self, name: str) -> int:
        if name not in self.names:
            raise Wrong(f"there is no column `{name}`: {', '.join(self.names)}")
        return self.names.index(name)

    def cells(self, at: int) -> list[str]:
        return [row[at] for row in self.rows]

    def text(self, rows: list[list[str]]) -> str:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.names)
        writer.writerows(rows)
        return out.getvalue()


def number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    # Words such as `nan` are no numbers of a table.
    return value if value - value == 0 else None


def numbers(cells: list[str]) -> list[float]:
    return [value for value in map(number, cells) if value is not None]


def all_numbers(cells: list[str]) -> list[float] | None:
    """The numbers of the cells that are filled, if all of them are one."""
    filled = [cell for cell in cells if cell]
    values = numbers(filled)
    return values if filled and len(values) == len(filled) else None


def statistics_of(values: list[float]) -> dict[str, float]:
    return {
        "min": min(values),
        "max": max(values),
        "sum": sum(values),
        "mean": statistics.fmean(values),
        "median": statistics.median(values),
        "deviation": statistics.stdev(values) if len(values) > 1 else 0.0,
    }


def groups(table: Table, by: str, column: str) -> list[tuple[str, list[str]]]:
    key, value = table.index(by), table.index(column)
    found: dict[str, list[str]] = {}
    for row in table.rows:
        found.setdefault(row[key], []).append(row[value])
    return sorted(found.items(), key=lambda group: -len(group[1]))


def most(cells: list[str]) -> list[tuple[str, int]]:
    # Not `most_common`: it takes in a module when it is first called, and a component has those of its start alone.
    counted = Counter(cell for cell in cells if cell).items()
    return sorted(counted, key=lambda one: -one[1])[:5]


def ordered(table: Table, column: str, descending: bool, limit: int) -> list[list[str]]:
    at = table.index(column)

    def key(row: list[str]):
        value = number(row[at])
        # Numbers before words, as in a spreadsheet.
        return (1, 0.0, row[at]) if value is None else (0, value, "")

    return sorted(table.rows, key=key, reverse=descending)[:limit]
