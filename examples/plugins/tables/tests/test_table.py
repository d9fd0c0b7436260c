import unittest

import table
from table import Table, Wrong

CITIES = "city;people\nBern;134000\nBasel;178000\nBern;\n"


class Tables(unittest.TestCase):
    def test_what_parts_the_cells_is_found(self):
        for delimiter in ",;\t|":
            read = Table.read(f"a{delimiter}b\n1{delimiter}2\n")
            self.assertEqual((read.names, read.rows), (["a", "b"], [["1", "2"]]))

    def test_a_column_is_numbers_when_every_filled_cell_is_one(self):
        cities = Table.read(CITIES)
        self.assertEqual(table.all_numbers(cities.cells(1)), [134000, 178000])
        self.assertIsNone(table.all_numbers(cities.cells(0)))
        self.assertIsNone(table.all_numbers(["nan", "1"]))

    def test_statistics(self):
        said = table.statistics_of([1.0, 2.0, 6.0])
        self.assertEqual((said["min"], said["max"], said["sum"], said["mean"], said["median"]), (1, 6, 9, 3, 2))
        self.assertEqual(table.statistics_of([4.0])["deviation"], 0)

    def test_rows_are_grouped_the_largest_first(self):
        self.assertEqual(table.groups(Table.read(CITIES), "city", "people"), [("Bern", ["134000", ""]), ("Basel", ["178000"])])

    def test_numbers_are_sorted_as_numbers(self):
        ordered = table.ordered(Table.read("n\n10\n9\nx\n"), "n", False, 10)
        self.assertEqual(ordered, [["9"], ["10"], ["x"]])

    def test_what_is_wrong_is_said(self):
        for text, reason in [("", "empty"), ("a,b\n1\n", "row 2 has 1 cells")]:
            with self.assertRaisesRegex(Wrong, reason):
                Table.read(text)
        with self.assertRaisesRegex(Wrong, "no column `x`: city, people"):
            Table.read(CITIES).index("x")
