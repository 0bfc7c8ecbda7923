"""Upstreams whose answers never end, or decompress to far more than was sent."""

from __future__ import annotations

import gzip
import zlib
from functools import cache

from tests.processes import Behaviour, Seen, _Handler, create_chunk

PIECE_BYTES = 256 * 1024
# They do end, so that a Briggs without limits fails its test and not the machine.
BYTES_MAX = 64 * 1024 * 1024

_HEAD = b"HTTP/1.1 200 OK\r\nconnection: close\r\n"
_JSON = b"content-type: application/json\r\n"
_EVENTS = b"content-type: text/event-stream\r\n"
_LINES = b"content-type: application/x-ndjson\r\n"
_FRAMES = b"content-type: application/vnd.amazon.eventstream\r\n"
_TEXT = create_chunk({"role": "assistant", "content": "on and on"})
_WHOLE = _TEXT + create_chunk({}, finish_reason="stop") + b"data: [DONE]\n\n"


def send(head: bytes, *beginning: bytes, forever: bytes = b"", weight: int = 1) -> Behaviour:
    """An upstream that begins like this and continues for ever. Each byte counts `weight` times."""
    repeated = forever * (PIECE_BYTES // max(len(forever), 1) + 1)

    def behave(handler: _Handler, seen: Seen) -> None:
        handler.close_connection = True
        handler.wfile.write(head + b"\r\n" + b"".join(beginning))
        for _ in range(BYTES_MAX // len(repeated) // weight):
            handler.wfile.write(repeated)

    return behave


def send_head(*beginning: bytes, forever: bytes) -> Behaviour:
    """The same, for bytes that are not body yet."""
    return send(b"".join(beginning).removesuffix(b"\r\n"), forever=forever)


def send_bomb(head: bytes, content: bytes, *, encoding: str = "gzip") -> Behaviour:
    """A body that decompresses to `BYTES_MAX` from a thousandth of that."""

    def behave(handler: _Handler, seen: Seen) -> None:
        handler.close_connection = True
        bomb = _pack(content, encoding)
        handler.wfile.write(head + b"content-encoding: %b\r\n" % encoding.encode())
        handler.wfile.write(b"content-length: %d\r\n\r\n%b" % (len(bomb), bomb))

    return behave


@cache
def _pack(content: bytes, encoding: str) -> bytes:
    packer = zlib.compressobj(wbits=31 if encoding == "gzip" else 15)
    piece = content * (PIECE_BYTES // len(content))
    packed = [packer.compress(piece) for _ in range(BYTES_MAX // len(piece))]
    return b"".join(packed) + packer.flush()


def _chunk(piece: bytes, extension: bytes = b"") -> bytes:
    return b"%x%b\r\n%b\r\n" % (len(piece), extension, piece)


_CHUNKED = _HEAD + b"transfer-encoding: chunked\r\n"

WHOLE: dict[str, Behaviour] = {
    "white space": send(_HEAD + _JSON, forever=b" "),
    "a string": send(_HEAD + _JSON, b'{"id": "', forever=b"x"),
    "lists": send(_HEAD + _JSON, b'{"choices": [', forever=b"[],"),
    "an error": send(_HEAD.replace(b"200 OK", b"400 Bad Request") + _JSON, forever=b" "),
    "a length that is far too large": send(
        _HEAD + _JSON + b"content-length: 999999999999999\r\n", forever=b" "
    ),
    "chunks of two bytes": send(_CHUNKED + _JSON, forever=_chunk(b"  ")),
    "gzip": send_bomb(_HEAD + _JSON, b" "),
    "deflate": send_bomb(_HEAD + _JSON, b" ", encoding="deflate"),
    "gzip of nothing": send(
        _HEAD + _JSON + b"content-encoding: gzip\r\n", forever=gzip.compress(b"")
    ),
    "headers": send_head(_HEAD + _JSON, forever=b"x-more: and more\r\n"),
    "interim answers": send_head(forever=b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"),
    "chunk extensions": send(_CHUNKED + _JSON, forever=_chunk(b" ", b";x=" + b"x" * 1000)),
    "trailers": send(_CHUNKED + _JSON, b"0\r\n", forever=b"x-more: and more\r\n"),
}
STREAMS: dict[str, Behaviour] = {
    "comments": send(_HEAD + _EVENTS, forever=b": still here\n"),
    "comments after a chunk": send(_HEAD + _EVENTS, _TEXT, forever=b":\n"),
    "blank lines": send(_HEAD + _EVENTS, _TEXT, forever=b"\n"),
    "chunks": send(_HEAD + _EVENTS, forever=_TEXT),
    "empty chunks": send(_HEAD + _EVENTS, _TEXT, forever=b"data: {}\n\n"),
    "chunks without an id": send(_HEAD + _EVENTS, forever=b"data: {}\n\n"),
    "a line": send(_HEAD + _EVENTS, b"data: ", forever=b"x"),
    "gzip of events": send_bomb(_HEAD + _EVENTS, b": still here\n"),
    "no stream": send(_HEAD + b"content-type: text/html\r\n", forever=b"<p>"),
}
LINES: dict[str, Behaviour] = {
    "blank lines": send(_HEAD + _LINES, forever=b"\n"),
    "a line": send(_HEAD + _LINES, b'{"model": "', forever=b"x"),
}
FRAMES: dict[str, Behaviour] = {
    "a frame": send(_HEAD + _FRAMES, (2**31).to_bytes(4) + b"\0" * 8, forever=b"\0"),
}
AFTER_THE_END: Behaviour = send(_HEAD + _EVENTS, _WHOLE, forever=b": still here\n")
