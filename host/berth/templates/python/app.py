from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.greetings import Error_NotCounted
from wit_world.imports import atomics, store

from words import hello, visit


class Greetings(exports.Greetings):
    def greet(self, name: str) -> str:
        return hello(name)

    def welcome(self, name: str) -> str:
        try:
            visits = atomics.increment(store.open(""), name, 1)
        except Err as error:
            # What is raised as Err is the failure of the tool.
            raise Err(Error_NotCounted(str(error.value)))
        return visit(name, visits)
