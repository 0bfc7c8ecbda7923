"""Hostile answers: from a seed and a number to what a vendor sends."""

from __future__ import annotations

import base64
import contextlib
import json
import random
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Literal, NamedTuple

import brotli
import zstandard

from tests.fuzz.requests import CLAUDE, WIRES
from tests.fuzz.values import NUMBERS, TEXTS, Raw, cut, encode, mutate, mutate_bytes, pack
from tests.mutations import create_full_response, create_stream
from tests.processes import list_cases as list_payloads
from tests.processes import load_case, read_piece
from tests.wires.eventstream import encode_event, encode_exception, encode_message, wrap
from tests.wires.folders import list_cases

TYPES = {
    "ollama-native": b"application/x-ndjson",
    "bedrock": b"application/vnd.amazon.eventstream",
    CLAUDE: b"application/vnd.amazon.eventstream",
}
_FRAMED = ("bedrock", CLAUDE)
ENDLESS_BYTES = 24 * 1024 * 1024
"""What an endless answer has; the limit for it in `run.py` is far less."""


class Step(NamedTuple):
    """Bytes to send, so many times, after a pause."""

    data: bytes
    times: int = 1
    pause_s: float = 0.0


class Sent(NamedTuple):
    """What a vendor sends for one call, and how it ends."""

    kind: str
    wire: str
    stream: bool
    steps: list[Step]
    ending: Literal["keep", "close", "reset", "silence"] = "close"
    size_max: int | None = None
    """A reader who takes more than this was not stopped by its limit."""


class Drawn(NamedTuple):
    """What a generator draws with, and what it answers."""

    draw: random.Random
    wire: str
    stream: bool

    @property
    def content_type(self) -> bytes:
        if not self.stream:
            return b"application/json"
        return TYPES.get(self.wire, b"text/event-stream")


def create_sent(seed: int, number: int) -> Sent:
    """The hostile answer of this number: each wire in turn, whole and streamed."""
    draw = random.Random(f"{seed}/answers/{number}")
    drawn = Drawn(draw, WIRES[number // 2 % len(WIRES)], number % 2 == 1)
    [create] = draw.choices(list(KINDS), weights=list(KINDS.values()))
    return create(drawn)


# ---- Good answers, to be spoilt ------------------------------------------------------------


@cache
def list_bodies(wire: str, stream: bool) -> list[bytes]:
    """What a vendor really sent."""
    if wire == "openai":
        return _list_openai(stream)
    if wire == CLAUDE:
        bodies = list_bodies("anthropic", stream)
        return [b"".join(_wrap_events(body)) for body in bodies] if stream else bodies
    return [
        case.received
        for case in list_cases()
        if case.provider == wire and case.status == 200 and case.streams == stream
        if case.received
    ]


def _wrap_events(stream: bytes) -> Iterator[bytes]:
    """Anthropic's events in AWS's frames."""
    for line in stream.splitlines():
        if line.startswith(b"data:"):
            yield wrap(line[5:].strip())


def _list_openai(stream: bool) -> list[bytes]:
    if not stream:
        wires = [load_case(id)["wire"] for id in list_payloads() if id.startswith("n")]
        real = [(wire.get("text") or json.dumps(wire["body"])).encode() for wire in wires]
        return [json.dumps(create_full_response()).encode()] * 10 + real
    wires = [load_case(id)["wire"] for id in list_payloads() if id.startswith("s")]
    made = b"".join(b"data: %b\n\n" % encode(chunk) for chunk in create_stream())
    return [made + b"data: [DONE]\n\n"] * 10 + [
        b"".join(map(read_piece, wire["chunks"])) for wire in wires if wire["kind"] == "sse"
    ]


def _draw_body(drawn: Drawn) -> bytes:
    return drawn.draw.choice(list_bodies(drawn.wire, drawn.stream))


def _split(drawn: Drawn, body: bytes) -> list[bytes]:
    """The lines, events or frames of a stream."""
    if drawn.wire in _FRAMED:
        frames = []
        while len(body) >= 4:
            size = max(int.from_bytes(body[:4]), 16)
            frames.append(body[:size])
            body = body[size:]
        return frames
    if drawn.wire == "ollama-native":
        return body.splitlines(keepends=True)
    return [event + b"\n\n" for event in body.replace(b"\r\n", b"\n").split(b"\n\n") if event]


# ---- Kinds --------------------------------------------------------------------------------


def odd_values(drawn: Drawn) -> Sent:
    """A good answer in which some members are not what they should be."""
    return _send("odd values", drawn, _spoil_values(drawn, _draw_body(drawn)))


def odd_bytes(drawn: Drawn) -> Sent:
    """A good answer with bytes that are lost, changed or repeated."""
    draw, body = drawn.draw, _draw_body(drawn)
    for _ in range(draw.choice([1, 1, 2, 5])):
        body = mutate_bytes(body, draw)
    return _send("odd bytes", drawn, body)


def odd_order(drawn: Drawn) -> Sent:
    """A stream whose events are elsewhere, lost, repeated, or in the midst of others."""
    draw = drawn.draw
    events = _split(drawn, _draw_body(drawn))
    for _ in range(draw.randint(1, 3)):
        place = draw.randint(0, max(len(events) - 1, 0))
        action = draw.randrange(6)
        if action == 0:
            draw.shuffle(events)
        elif action == 1:
            del events[place:]
        elif action == 2:
            events[place:place] = events[place : place + 3] * draw.choice([1, 100])
        elif action == 3:
            del events[place : place + 1]
        elif action == 4:
            events.insert(place, _draw_event(drawn))
        else:
            events = events[place:] + events[:place]
    return _send("odd order", drawn, b"".join(events))


def odd_heads(drawn: Drawn) -> Sent:
    """A good answer behind a head that is not good."""
    draw, body = drawn.draw, _draw_body(drawn)
    status = draw.choice(
        [
            *(b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 200", b"HTTP/2 200", b"200 OK"),
            *(b"HTTP/1.1 2000 OK", b"HTTP/1.1 -1 X", b"HTTP/1.1 0 X", b"HTTP/1.1 999 X", b""),
            *(b"HTTP/1.1 200 \x1b[31mOK", b"HTTP/1.1 200 " + b"x" * 70_000, b"\x16\x03\x01\x02"),
            *(b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + b"HTTP/1.1 200 OK", b"SSH-2.0-x"),
            *(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c", b"HTTP/1.1 204 No Content"),
            *(b"HTTP/1.1 304 Not Modified", b"HTTP/1.1 206 Partial Content", b"ICY 200 OK"),
        ]
    )
    size = len(body)
    framing = draw.choice(
        [
            *(b"Content-Length: %d" % size, b"Transfer-Encoding: chunked", b"X: y"),
            *(b"Content-Length: %d" % (size + 50), b"Content-Length: %d" % max(size - 20, 0)),
            *(b"Content-Length: -1", b"Content-Length: " + b"9" * 400, b"Content-Length: x"),
            *(b"Content-Length: %d\r\nContent-Length: 1" % size, b"Content-Length: +%d" % size),
            b"Content-Length: %d\r\nTransfer-Encoding: chunked" % size,
            *(b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: identity"),
        ]
    )
    extra = draw.choice(
        [
            *(b"", b"No-Colon\r\n", b"X: a\r\n b\r\n", b"X\0: y\r\n", b"X: \x1b[2J\r\n"),
            *(b"X-Many: y\r\n" * 5000, b"X: " + b"y" * 100_000 + b"\r\n", b"Set-Cookie: a=b\r\n"),
            *(b"x-request-id: a\r\n", b"x-briggs-completion-id: x\r\n", b"Connection: upgrade\r\n"),
            *(b"x-litellm-response-cost: nan\r\n", b"x-litellm-response-cost: -1e999\r\n"),
        ]
    )  # fmt: skip
    head = b"%b\r\nContent-Type: %b\r\n%b%b\r\n\r\n" % (status, drawn.content_type, extra, framing)
    content = _chunk(body, draw) if b"chunked" in framing else body
    whole = head + (mutate_bytes(content, draw) if draw.random() < 0.3 else content)
    if framing == b"Content-Length: %d" % size and draw.random() < 0.3:
        whole += _SMUGGLED
    return _finish("odd heads", drawn, cut(whole, draw), draw.choice(["close", "reset", "close"]))


def odd_errors(drawn: Drawn) -> Sent:
    """A status that is an error, with a body that may be none, and odd headers to pass on."""
    draw = drawn.draw
    status = draw.choice([*range(400, 430), 451, 499, *range(500, 512), 520, 529, 599, 600, 999])
    message = draw.choice(TEXTS)
    objects = [
        {"error": {"message": message, "type": message, "code": message, "param": message}},
        {"error": message},
        {"error": [{"message": message}]},
        {"type": "error", "error": {"type": "overloaded_error", "message": message}},
        {"message": message, "__type": message},
        [{"error": {"code": 400, "status": message, "message": message, "details": [{"x": 1}]}}],
        {"error": {"status": "X", "details": [{"retryDelay": "9" * 400 + "s"}, {"reason": 1}]}},
        {"error": {"status": "X", "message": "m", "details": [{"retryDelay": "nans"}]}},
        {"detail": [{"loc": ["a"], "msg": message, "type": "x"}]},
        {"error": {"message": "smuggle", "code": 10**30}},
    ]
    body = encode(mutate(draw.choice(objects), draw)) if draw.random() < 0.7 else b""
    body = body or draw.choice([b"", b"\xff\xfe", b"<html>" + b"x" * 5000, b"null", b"\0"])
    value = draw.choice([*(it for it in TEXTS if len(it) < 200), "7", "-1", "1e999", "x" * 2000])
    text = value.replace("\r", "").replace("\n", "").encode("utf-8", "surrogatepass")
    names = (b"retry-after", b"retry-after-ms", b"x-should-retry", b"location", b"x-request-id")
    headers = [(draw.choice(names), text)]
    return _send("odd errors", drawn, body, status=status, headers=headers)


def redirects(drawn: Drawn) -> Sent:
    """An answer that sends its reader elsewhere; `@TRAP@` is where nobody may go."""
    draw = drawn.draw
    location = draw.choice([b"http://@TRAP@/x", b"//@TRAP@/", b"file:///etc/passwd", b"/x", b"@"])
    status = draw.choice([300, 301, 302, 303, 305, 307, 308])
    extra = [(b"location", location), (b"refresh", b"0;url=" + location)]
    return _send("redirects", drawn, b"{}", status=status, headers=extra)


def odd_encodings(drawn: Drawn) -> Sent:
    """An answer that is compressed in a way that hurts, or only said to be."""
    draw, body = drawn.draw, _draw_body(drawn)
    filler = b" " if not drawn.stream else draw.choice([b": x\n", b"\n", b" "])
    made: list[Callable[[], tuple[bytes, bytes]]] = [
        lambda: (b"gzip", pack(body)),
        lambda: (b"br", brotli.compress(body)),
        lambda: (b"zstd", zstandard.compress(body)),
        lambda: (b"deflate", zlib.compress(body)),
        lambda: (b"gzip", pack(body)[: -draw.randint(1, 20)]),
        lambda: (b"gzip", mutate_bytes(pack(body), draw)),
        lambda: (b"br", mutate_bytes(brotli.compress(body), draw)),
        lambda: (b"zstd", mutate_bytes(zstandard.compress(body), draw)),
        lambda: (b"gzip", pack(body) + b"junk"),
        lambda: (b"gzip, gzip", pack(pack(body))),
        lambda: (b"gzip", pack(pack(body))),
        lambda: (b"gzip", body),
        lambda: (draw.choice([b"x", b"", b"identity", b"gzip;q=1", b"\x1b[2J"]), body),
        lambda: (b"gzip", _pack_bomb("gzip", filler)),
        lambda: (b"br", _pack_bomb("br", filler)),
        lambda: (b"zstd", _pack_bomb("zstd", filler)),
        lambda: (b"deflate", _pack_bomb("deflate", filler)),
    ]
    encoding, content = draw.choice(made)()
    return _send("odd encodings", drawn, content, headers=[(b"content-encoding", encoding)])


def endless(drawn: Drawn) -> Sent:
    """An answer without an end, as far as its reader can tell."""
    draw = drawn.draw
    event = _split(drawn, _draw_body(drawn))[0] if drawn.stream else b"[],"
    filler = draw.choice(
        [b" ", b"\n", b": x\n", b"data: {}\n\n", b"x", b"\0", b"\r\n", b'{"a":1},', event]
    )
    start = draw.choice([b"", event, b"data: ", b'{"choices": ["', b'{"a": ' + b"[" * 500])
    head = _head(drawn, [(b"connection", b"close")])
    if draw.random() < 0.3:
        head = _head(drawn, [(b"transfer-encoding", b"chunked")])
        filler = b"%x%b\r\n%b\r\n" % (len(filler), draw.choice([b"", b";x=y"]), filler)
        start = b""
    elif draw.random() < 0.2:
        head, start = head[: -len(b"\r\n")], b""
        filler = draw.choice([b"x-more: y\r\n", b" folded\r\n", b"y"])
    elif draw.random() < 0.1:
        head, start, filler = b"", b"", b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
    many = filler * (65536 // len(filler) + 1)
    steps = [Step(head + start), Step(many, times=ENDLESS_BYTES // len(many))]
    return Sent("endless", drawn.wire, drawn.stream, steps, "close", ENDLESS_BYTES - 2**20)


def odd_types(drawn: Drawn) -> Sent:
    """A good answer of another media type, or the other way of answering."""
    draw = drawn.draw
    body = draw.choice(list_bodies(drawn.wire, draw.choice([drawn.stream, not drawn.stream])))
    kind = draw.choice(
        [
            *(b"text/html", b"", b"text/plain; charset=utf-16", b"application/json; charset=x"),
            *(b"text/event-stream", b"application/x-ndjson", b"application/json", b"\x1b[2J"),
            *(b"application/vnd.amazon.eventstream", b"TEXT/EVENT-STREAM;", b"x" * 3000),
        ]
    )
    if draw.random() < 0.3:
        body = draw.choice([b"", b"null", b"[]", b"{}", b'"x"', b"0", b"\0", b"[DONE]", b"tru"])
    return _send("odd types", drawn, body, content_type=kind)


def broken_off(drawn: Drawn) -> Sent:
    """An answer that stops: in its head, in its body, at once, or after a silence."""
    draw, body = drawn.draw, _draw_body(drawn)
    headers = draw.choice(
        [[(b"content-length", b"%d" % len(body))], [(b"transfer-encoding", b"chunked")]]
    )
    content = body if headers[0][0] == b"content-length" else _chunk(body, draw)
    whole = _head(drawn, headers) + content
    stopped = whole[: draw.choice([0, draw.randint(0, len(whole)), draw.randint(0, len(whole))])]
    # Silence costs the time that its reader waits.
    ending = draw.choices(["close", "reset", "silence"], weights=[10, 10, 1])[0]
    return _finish("broken off", drawn, cut(stopped, draw, most=3), ending)


def odd_frames(drawn: Drawn) -> Sent:
    """A stream whose frames are what no vendor writes."""
    draw = drawn.draw
    events = [_draw_event(drawn) for _ in range(draw.randint(1, 6))]
    good = _split(drawn, _draw_body(drawn))
    place = draw.randint(0, len(good))
    return _send("odd frames", drawn, b"".join([*good[:place], *events, *good[place:]]))


KINDS: dict[Callable[[Drawn], Sent], float] = {
    odd_values: 34,
    odd_bytes: 14,
    odd_order: 8,
    odd_frames: 8,
    odd_heads: 9,
    odd_errors: 9,
    redirects: 2,
    odd_encodings: 5,
    endless: 1.5,
    odd_types: 5,
    broken_off: 4.5,
}
"""How often each kind is drawn."""

_NESTED_MAX = 400
_SMUGGLED = b"HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\nsecret-of-another-call"


# ---- How they are put together -------------------------------------------------------------


def _spoil_values(drawn: Drawn, body: bytes) -> bytes:
    draw = drawn.draw
    if not drawn.stream:
        return encode(mutate(_decode(body), draw, times=4))
    events = _split(drawn, body)
    for _ in range(draw.randint(1, 3)):
        place = draw.randrange(len(events))
        events[place] = _spoil_event(drawn, events[place])
    return b"".join(events)


def _spoil_event(drawn: Drawn, event: bytes) -> bytes:
    draw = drawn.draw
    if drawn.wire in _FRAMED:
        return _spoil_frame(event, draw)
    if drawn.wire == "ollama-native":
        return encode(mutate(_decode(event), draw)) + b"\n"
    lines = event.split(b"\n")
    changed = [
        b"data: " + encode(mutate(_decode(line[5:]), draw)) if line.startswith(b"data:") else line
        for line in lines
    ]
    return b"\n".join(changed)


def _spoil_frame(frame: bytes, draw: random.Random) -> bytes:
    """A frame of an event stream with another payload, its checksums as they should be."""
    headers_size = int.from_bytes(frame[4:8])
    headers, payload = frame[12 : 12 + headers_size], frame[12 + headers_size : -4]
    types = [b"messageStart", b"contentBlockStart", b"contentBlockDelta", b"contentBlockStop"]
    types += [b"messageStop", b"metadata", b"chunk"]
    found = next((name for name in types if name in headers), b"x")
    text = _spoil_payload(payload, draw)
    made = encode_message({":message-type": "event", ":event-type": found.decode()}, {})
    return _with_payload(made, text)


def _spoil_payload(payload: bytes, draw: random.Random) -> bytes:
    """Another payload, or the same one around another event."""
    value = _decode(payload)
    with contextlib.suppress(ValueError, LookupError, TypeError):
        wrapped = base64.b64decode(value["bytes"])
        if draw.random() < 0.8:
            event = encode(mutate(_decode(wrapped), draw))
            return encode({**value, "bytes": base64.b64encode(event).decode()})
    return encode(mutate(value, draw))


def _with_payload(frame: bytes, payload: bytes) -> bytes:
    headers_size = int.from_bytes(frame[4:8])
    prelude = (16 + headers_size + len(payload)).to_bytes(4) + frame[4:8]
    head = prelude + zlib.crc32(prelude).to_bytes(4) + frame[12 : 12 + headers_size]
    return head + payload + zlib.crc32(head + payload).to_bytes(4)


def _draw_event(drawn: Drawn) -> bytes:
    """A line, an event or a frame that no vendor writes."""
    draw = drawn.draw
    text = draw.choice(TEXTS)
    number = draw.choice(NUMBERS)
    data = number.text.encode() if isinstance(number, Raw) else str(number).encode()
    raw = text.encode("utf-8", "surrogatepass")
    if drawn.wire == CLAUDE and draw.random() < 0.5:
        return draw.choice(
            [
                encode_event("chunk", {"bytes": text}),
                encode_event("chunk", {"bytes": [1]}),
                *map(
                    wrap,
                    (
                        data,
                        raw,
                        b"{}",
                        b"[" * 5000,
                        b'{"type": "a\\nb"}',
                        b'{"type":' + data + b"}",
                    ),
                ),
                wrap(b'{"type": "error", "error": ' + data + b"}"),
                wrap(b'{"type": "content_block_delta", "index": ' + data + b', "delta": {}}'),
            ]
        )
    if drawn.wire in _FRAMED:
        word = text[:50].encode("utf-8", "replace").decode()
        good = encode_event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}})
        return draw.choice(
            [
                good[:-1] + b"\0",
                b"\0\0\0\0" + good[4:],
                b"\xff\xff\xff\xff" + good[4:],
                good[:4] + b"\xff\xff\xff\xff" + good[8:],
                b"\0\0\0\x10\0\0\0\0",
                good[:20],
                encode_exception("throttlingException", text),
                encode_exception(word, text),
                encode_message({":message-type": "error", ":error-code": word}, {"a": 1}),
                encode_message({}, {"a": 1}),
                encode_event("contentBlockDelta", {"contentBlockIndex": 2**63, "delta": {}}),
                encode_event(word, {"a": text}),
                _with_payload(good, data),
                _with_payload(good, b"[" * 5000),
                good * 3,
            ]
        )
    if drawn.wire == "ollama-native":
        return (
            draw.choice([data, b"{}", b"[" * 5000, b"\0", text.encode("utf-8", "replace")]) + b"\n"
        )
    return draw.choice(
        [
            b"data: " + data + b"\n\n",
            b"data: " + raw + b"\n\n",
            b"data: [DONE]\n\n",
            b"data:[DONE]\r\r",
            b'data: {"error": ' + data + b"}\n\n",
            b'data: {"error": {"message": "m", "code": ' + data + b"}}\n\n",
            b"event: error\ndata: {}\n\n",
            b"event: " + raw + b"\ndata: {}\n\n",
            b"id: \0\nretry: " + data + b"\n\n",
            b"data: {\ndata: }\n\n",
            b"data\n\n",
            b"data: \n\n",
            b"\xef\xbb\xbfdata: {}\n\n",
            b": " + raw + b"\n",
            b"\r\r\r\n\n",
            b"data: " + b"[" * 5000 + b"\n\n",
            b"data: " + b"x" * 200_000 + b"\n\n",
            b'data: {"choices": [{"index": ' + data + b', "delta": {"content": "x"}}]}\n\n',
            b'data: {"choices": [], "usage": {"prompt_tokens": ' + data + b"}}\n\n",
            b"field: " + raw + b"\n\n",
        ]
    )


def _decode(text: bytes) -> Any:
    """JSON as a value; what is none, or is nested too deeply to be changed, as a string."""
    with contextlib.suppress(ValueError):
        if max(text.count(b"["), text.count(b"{")) < _NESTED_MAX:
            return json.loads(text)
    return text.decode("utf-8", "replace")


def _send(
    kind: str,
    drawn: Drawn,
    body: bytes,
    *,
    status: int = 200,
    headers: list[tuple[bytes, bytes]] | None = None,
    content_type: bytes | None = None,
) -> Sent:
    """A well-framed answer with this body, in pieces."""
    draw = drawn.draw
    framing = draw.choice(["length", "length", "chunked", "close"])
    given = list(headers or [])
    content = [body]
    if framing == "length":
        given.append((b"content-length", b"%d" % len(body)))
    elif framing == "chunked":
        given.append((b"transfer-encoding", b"chunked"))
        content = [b"%x\r\n%b\r\n" % (len(it), it) for it in cut(body, draw)] + [b"0\r\n\r\n"]
    else:
        given.append((b"connection", b"close"))
    head = _head(drawn, given, status=status, content_type=content_type)
    pieces = [head, *content] if draw.random() < 0.7 else cut(head + b"".join(content), draw)
    # Behind a whole answer may stand what is meant to be taken for the next call's.
    ending: Literal["keep", "close"] = "keep" if framing != "close" else "close"
    if ending == "keep" and draw.random() < 0.05:
        return _finish(kind, drawn, [*pieces, _SMUGGLED], "keep")
    return _finish(kind, drawn, pieces, ending)


def _finish(kind: str, drawn: Drawn, pieces: list[bytes], ending: Any) -> Sent:
    pause_s = drawn.draw.choice([0.0, 0.0, 0.0, 0.001])
    steps = [Step(piece, pause_s=pause_s) for piece in pieces]
    return Sent(kind, drawn.wire, drawn.stream, steps, ending)


def _head(
    drawn: Drawn,
    headers: list[tuple[bytes, bytes]],
    *,
    status: int = 200,
    content_type: bytes | None = None,
) -> bytes:
    kind = drawn.content_type if content_type is None else content_type
    fields = b"".join(b"%b: %b\r\n" % field for field in [(b"content-type", kind), *headers])
    return b"HTTP/1.1 %d Fuzz\r\n%b\r\n" % (status, fields)


def _chunk(body: bytes, draw: random.Random) -> bytes:
    size = draw.choice([b"%x", b"%x", b"%x", b"%X;a=b", b"%x ", b"0x%x", b"-%x", b"fffffffff%x"])
    end = draw.choice([b"0\r\n\r\n", b"0\r\n\r\n", b"0\r\nX-A: b\r\n\r\n", b"0\r\n", b""])
    chunks = [size % len(piece) + b"\r\n" + piece + b"\r\n" for piece in cut(body, draw, most=5)]
    return b"".join(chunks) + end


@cache
def _pack_bomb(encoding: str, filler: bytes) -> bytes:
    """What decompresses to 32 MB, and weighs next to nothing."""
    content = filler * (32 * 1024 * 1024 // len(filler))
    packers: dict[str, Callable[[bytes], bytes]] = {
        "gzip": lambda it: pack(it, 1),
        "deflate": lambda it: zlib.compress(it, 1),
        "br": lambda it: bytes(brotli.compress(it, quality=1)),
        "zstd": lambda it: zstandard.compress(it, 1),
    }
    return packers[encoding](content)
