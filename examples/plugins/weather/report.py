"""Plain Python, which every interpreter can test."""

from urllib.parse import quote

# The host puts the value in on its way to the service: this plugin never has it.
KEY = "{{secret:weather_key}}"


def address(server: str, language: str, place: str) -> str:
    query = f"q={quote(place)}&units=metric&lang={quote(language)}&appid={KEY}"
    return f"{server.rstrip('/')}/data/2.5/weather?{query}"


def read(answer: dict) -> dict:
    """The fields of a report, by the answer of the service."""
    name, country = answer["name"], answer.get("sys", {}).get("country")
    main = answer["main"]
    return {
        "place": f"{name}, {country}" if country else name,
        "sky": ", ".join(sky["description"] for sky in answer.get("weather", [])),
        "temperature": float(main["temp"]),
        "feels_like": float(main.get("feels_like", main["temp"])),
        "wind": float(answer.get("wind", {}).get("speed", 0)),
    }
