import unittest

import report


class Reports(unittest.TestCase):
    def test_a_place_is_escaped_and_the_key_is_a_placeholder(self):
        self.assertEqual(
            report.address("https://weather.example/", "de", "Paris, TX & more"),
            "https://weather.example/data/2.5/weather?q=Paris%2C%20TX%20%26%20more&units=metric&lang=de"
            "&appid={{secret:weather_key}}",
        )

    def test_an_answer_with_the_least_is_read(self):
        self.assertEqual(
            report.read({"name": "Basel", "main": {"temp": 20}}),
            {"place": "Basel", "sky": "", "temperature": 20.0, "feels_like": 20.0, "wind": 0.0},
        )


if __name__ == "__main__":
    unittest.main()
