from berth_http import Failed, request
from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import weather as wit
from wit_world.imports import store

import report


class Weather(exports.Weather):
    def now(self, place: str) -> wit.Report:
        url = report.address(store.get("server"), store.get("language"), place)
        try:
            answer = request("GET", url, timeout=10)
        except Failed as failed:
            raise Err(wit.Error_Unreachable(str(failed)))
        if answer.status == 404:
            raise Err(wit.Error_UnknownPlace(place))
        if answer.status != 200:
            raise Err(wit.Error_Refused(answer.status))
        return wit.Report(**report.read(answer.json()))
