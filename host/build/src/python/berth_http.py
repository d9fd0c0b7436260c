"""Requests to the web, by the standard `wasi:http`.

`berth plugin build` adds this module when plugin.toml asks for the capability `http`. Modules that open sockets, such as
`requests` and `urllib.request`, do not work in a component.

The host looks up the name, does TLS, follows redirects that the grant allows and unpacks what is packed. A secret is named by
a placeholder, `{{secret:NAME}}`, in a header, the path, the query, a JSON string or a form field: the host puts the value
in, and only where the grant of the secret allows.
"""

import json as _json
from dataclasses import dataclass
from urllib.parse import urlsplit

from componentize_py_types import Err, Ok
from wit_world.imports import berth_http_handler as handler
from wit_world.imports import berth_http_types as http
from wit_world.imports.berth_http_streams import StreamError_Closed

# The most that one write takes at once.
_PIECE = 4096


class Failed(Exception):
    """There is no answer. `code` is the error of wasi:http, such as `HttpRequestDenied`."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


@dataclass
class Answer:
    """What a server answered, whatever its status."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first header of this name."""
        return next((value for key, value in self.headers if key == name.lower()), None)

    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode("utf-8", "replace")

    def json(self):
        """The body read as JSON. Raises ValueError when it is none."""
        return _json.loads(self.body)


def request(
    method: str,
    url: str,
    headers: dict[str, str] | None = None,
    body: bytes | str = b"",
    json=None,
    timeout: float | None = None,
    most_bytes: int = 1 << 20,
) -> Answer:
    """Sends a request and waits for the whole answer.

    `json` is sent as the body, with its content type. `timeout` is in seconds and is for the first byte of the answer;
    the host's own limit counts where it is shorter. Raises Failed when there is no answer, or one of more than
    `most_bytes`.
    """
    headers = dict(headers or {})
    if json is not None:
        body = _json.dumps(json)
        headers.setdefault("content-type", "application/json")
    if isinstance(body, str):
        body = body.encode()
    try:
        waiting = _begin(method.upper(), url, headers, body, timeout)
        with waiting.subscribe() as ready:
            ready.block()
        got = waiting.get()
    except Err as error:
        raise _failed(url, error.value) from None
    if not isinstance(got, Ok):
        raise Failed("None", f"{url}: the host has no answer to give")
    if isinstance(got.value, Err):
        raise _failed(url, got.value.value)
    return _read(url, got.value.value, most_bytes)


def _begin(method, url, headers, body, timeout):
    parts = urlsplit(url)
    schemes = {"http": http.Scheme_Http, "https": http.Scheme_Https}
    if parts.scheme not in schemes or not parts.netloc:
        raise Failed("HttpRequestUriInvalid", f"{url} is no address of the web")
    fields = http.Fields()
    for name, value in headers.items():
        fields.append(name, value.encode())
    outgoing = http.OutgoingRequest(fields)
    known = getattr(http, f"Method_{method.capitalize()}", None)
    outgoing.set_method(known() if known and method != "OTHER" else http.Method_Other(method))
    outgoing.set_scheme(schemes[parts.scheme]())
    outgoing.set_authority(parts.netloc)
    outgoing.set_path_with_query((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
    options = http.RequestOptions()
    if timeout is not None:
        options.set_first_byte_timeout(int(timeout * 1_000_000_000))
    content = outgoing.body()
    waiting = handler.handle(outgoing, options)
    if body:
        with content.write() as stream:
            for at in range(0, len(body), _PIECE):
                stream.blocking_write_and_flush(body[at : at + _PIECE])
    http.OutgoingBody.finish(content, None)
    return waiting


def _read(url, incoming, most_bytes):
    pieces, length = [], 0
    with incoming.headers() as fields:
        headers = [(name.lower(), value.decode("utf-8", "replace")) for name, value in fields.entries()]
    # Each is dropped before what it is a part of.
    with incoming.consume() as content, content.stream() as stream:
        while True:
            try:
                piece = stream.blocking_read(1 << 16)
            except Err as error:
                if isinstance(error.value, StreamError_Closed):
                    break
                raise _failed(url, http.http_error_code(error.value.value)) from None
            pieces.append(piece)
            length += len(piece)
            if length > most_bytes:
                raise Failed("HttpResponseBodySize", f"{url}: the answer has more than {most_bytes} bytes")
    return Answer(incoming.status(), headers, b"".join(pieces))


_REASONS = {
    "HttpRequestDenied": "it is not granted; the log of this call says what would have to be",
    "DestinationIpProhibited": "its address is not on the public internet",
    "DestinationNotFound": "the name is not known",
    "DnsError": "the name is not known",
    "DnsTimeout": "the name is not known",
    "ConnectionRefused": "nobody answers",
    "ConnectionLimitReached": "there are too many requests at once, or in this minute",
    "HttpResponseBodySize": "the answer is larger than the grant allows",
    "HttpResponseTimeout": "there was no answer in time",
    "ConnectionReadTimeout": "there was no answer in time",
    "ConnectionTimeout": "there was no answer in time",
}


def _failed(url, error):
    code = type(error).__name__.removeprefix("ErrorCode_")
    return Failed(code, f"{url}: {_REASONS.get(code, code)}")
