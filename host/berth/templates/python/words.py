"""Plain Python, which every interpreter can test."""


def hello(name: str) -> str:
    return f"Hello, {name}!"


def visit(name: str, visits: int) -> str:
    return f"{hello(name)} Visit {visits}."
