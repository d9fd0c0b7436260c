import unittest

from words import hello, visit


class Words(unittest.TestCase):
    def test_visits_are_told_behind_the_greeting(self):
        self.assertEqual(hello("Ada"), "Hello, Ada!")
        self.assertEqual(visit("Ada", 2), "Hello, Ada! Visit 2.")
