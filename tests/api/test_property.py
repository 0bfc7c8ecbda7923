"""Whatever an upstream sends, the caller gets a conforming answer or one error, and one record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.verdicts import list_broken
from tests.mutations import (
    create_full_response,
    create_stream,
    encode,
    mutated,
    mutated_stream,
)
from tests.processes import (
    Reply,
    Server,
    Upstream,
    list_cases,
    load_case,
    read_frames,
    read_piece,
    read_rows,
    run_server,
)


class Sent(NamedTuple):
    """The writes of a body that the upstream sends for a call."""

    status: int
    content_type: str
    writes: list[bytes]


class Scripted(NamedTuple):
    """A server in front of an upstream that sends what a test sets."""

    server: Server
    script: list[Sent]

    def ask(self, sent: Sent, *, stream: bool) -> Reply:
        self.script[:] = [sent]
        return self.server.chat({**REQUEST, "stream": stream})


REQUEST = {
    "model": "scripted/m-1",
    "messages": [{"role": "user", "content": "hi"}],
    "logprobs": True,
    "top_logprobs": 1,
}


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    script: list[Sent] = []

    def behave(handler: Any, seen: Any) -> None:
        [sent] = script
        if sent.status != 200 or sent.content_type != "text/event-stream":
            body = b"".join(sent.writes)
            handler.send_whole(sent.status, body, {"content-type": sent.content_type})
            return
        handler.begin_stream()
        for write in filter(None, sent.writes):
            handler.write_piece(write)
        handler.write_piece(b"")

    upstream = Upstream({"scripted": behave})
    folder = tmp_path_factory.mktemp("scripted")
    with run_server(folder / "data", config=upstream.config()) as server:
        yield Scripted(server, script)
    upstream.close()


def frames(chunks: list[Any], *, end: bytes) -> bytes:
    return b"".join(b"data: " + encode(chunk) + b"\n\n" for chunk in chunks) + end


@st.composite
def bodies(draw: st.DrawFn, *, stream: bool) -> bytes:
    """Random bytes, mutated answers, and the payloads of real servers, cut anywhere or not."""
    cases = [load_case(id)["wire"] for id in list_cases() if id.startswith("s") == stream]
    if stream:
        last = draw(st.sampled_from([b"data: [DONE]\n\n", b"data: [DONE]", b""]))
        made = mutated_stream().map(lambda chunks: frames(chunks, end=last))
        real = [b"".join(map(read_piece, wire["chunks"])) for wire in cases]
    else:
        made = mutated(create_full_response()).map(encode)
        real = [(wire.get("text") or json.dumps(wire["body"])).encode() for wire in cases]
    body = draw(st.binary(max_size=60) | made | made | st.sampled_from(real))
    if draw(st.booleans()):
        return body
    begin, end = sorted((draw(st.integers(0, len(body))), draw(st.integers(0, len(body)))))
    # A piece is lost, or it comes twice.
    return body[:begin] + body[end:] if draw(st.booleans()) else body[:end] + body[begin:]


@st.composite
def answers(draw: st.DrawFn, *, stream: bool) -> Sent:
    body = draw(bodies(stream=stream))
    kind = draw(
        st.sampled_from(["text/event-stream" if stream else "application/json"] * 3 + ["text/html"])
    )
    cut = draw(st.integers(0, len(body)))
    return Sent(draw(st.sampled_from([200, 200, 200, 429, 500])), kind, [body[:cut], body[cut:]])


@pytest.mark.parametrize("stream", [False, True])
def test_any_upstream(scripted: Scripted, stream: bool) -> None:
    """Any bytes become a conforming answer, a conforming stream or one error, and one record."""
    rows = len(read_rows(scripted.server.data, "id"))

    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
    @given(answers(stream=stream))
    def ask(sent: Sent) -> None:
        nonlocal rows
        reply = scripted.ask(sent, stream=stream)
        kind = reply.headers["content-type"]
        broken = list_broken(
            reply.body, status=reply.status, content_type=kind, request=encode(REQUEST)
        )
        assert broken == set()
        rows += 1
        assert len(read_rows(scripted.server.data, "id")) == rows
        recorded = scripted.server.find(reply)["briggs"]
        failed = reply.status != 200 or (stream and not reply.body.endswith(b"[DONE]\n\n"))
        assert recorded["status"] == ("failed" if failed else "finished")

    ask()


@pytest.mark.parametrize("missing", [b"\n\n", b"\n\ndata: [DONE]\n\n"])
def test_a_last_event_without_its_empty_line(scripted: Scripted, missing: bytes) -> None:
    """The last event counts only if it is whole. One that is cut in the middle is a failure."""
    whole = frames(create_stream(), end=b"data: [DONE]\n\n")
    body = whole.removesuffix(missing)
    reply = scripted.ask(Sent(200, "text/event-stream", [body]), stream=True)
    assert reply.body.endswith(b"data: [DONE]\n\n")
    assert scripted.server.find(reply)["briggs"]["total_tokens"] == 7
    begin = frames(create_stream()[:2], end=b"")
    reply = scripted.ask(Sent(200, "text/event-stream", [begin[:-10]]), stream=True)
    error = json.loads(read_frames(reply.body)[-1])["error"]
    assert error["code"] == "upstream_truncated"
