"""Every folder of `cases` through a real process, and vendors that break off or never end."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from briggs.types.fold import Fold
from tests.processes import Behaviour, Reply, Server, Upstream, read_frames, run_server
from tests.waiting import PATIENCE_S, wait_for
from tests.wires.folders import (
    ENVIRONMENT,
    Case,
    as_text,
    list_cases,
    named,
    normalise,
    open_wire,
    split,
)

CASES = [case for case in list_cases() if case.find_problem() is None]
# A vendor that breaks off, or waits for a caller who has left, does so in its first stream.
STREAMED = [case for case in CASES if case.streams and case.response is not None]
BROKEN = list({case.provider: case for case in reversed(STREAMED)}.values())


def replay(case: Case) -> Behaviour:
    """A vendor that answers as recorded."""

    def behave(handler: Any, seen: Any) -> None:
        if not case.streams:
            handler.send_whole(case.status, case.received or b"")
            return
        handler.begin_stream(open_wire(case).stream_types[0])
        for piece in split(case, 2):
            handler.write_piece(piece)
        handler.write_piece(b"")

    return behave


def break_off(case: Case) -> Behaviour:
    """A vendor that stops during its stream."""

    def behave(handler: Any, seen: Any) -> None:
        _send_most(handler, case)
        handler.write_piece(b"")

    return behave


def wait_in_mid_stream(case: Case) -> Behaviour:
    """A vendor that streams until the connection closes."""

    def behave(handler: Any, seen: Any) -> None:
        _send_most(handler, case)
        if handler.connection.recv(1) == b"":
            raise BrokenPipeError

    return behave


def _send_most(handler: Any, case: Case) -> None:
    data = case.received or b""
    handler.begin_stream(open_wire(case).stream_types[0])
    handler.write_piece(data[: len(data) * 2 // 3])


def name_of(case: Case, way: str = "") -> str:
    """The provider's name in the file. No other text of a case contains it."""
    return case.id.replace("/", "..") + way


BEHAVIOURS = {
    **{name_of(case): (case, replay(case)) for case in CASES},
    **{name_of(case, "..breaks"): (case, break_off(case)) for case in BROKEN},
    **{name_of(case, "..waits"): (case, wait_in_mid_stream(case)) for case in BROKEN},
}


@pytest.fixture(scope="module")
def vendors() -> Iterator[Upstream]:
    upstream = Upstream({name: behaviour for name, (_, behaviour) in BEHAVIOURS.items()})
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def server(vendors: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Briggs with one provider per behaviour."""
    tables = [create_table(name, case, vendors.port) for name, (case, _) in BEHAVIOURS.items()]
    folder = tmp_path_factory.mktemp("wires")
    with run_server(folder / "data", config="".join(tables), environment=ENVIRONMENT) as running:
        yield running


def create_table(name: str, case: Case, port: int) -> str:
    members = {
        "kind": case.provider,
        "base_url": f"http://127.0.0.1:{port}/{name}",
        "key_variable": "CASE_KEY",
        "drop_unsupported": bool(case.dropped),
        **case.settings,
    }
    given = {member: value for member, value in members.items() if value is not None}
    lines = [f"{member} = {json.dumps(value)}\n" for member, value in given.items()]
    return f'[providers."{name}"]\n' + "".join(lines)


@named(CASES)
def test_the_caller_gets_the_same(server: Server, vendors: Upstream, case: Case) -> None:
    """The vendor gets the folder's request, the caller gets its answer, and both are recorded."""
    vendors.seen.clear()
    reply = server.chat({**case.request, "model": f"{name_of(case)}/{case.model}"})
    assert [seen.json for seen in vendors.seen] == ([] if case.sent is None else [case.sent])
    assert reply.headers.get("x-briggs-dropped", "") == ", ".join(case.dropped)
    recorded = server.find(reply, "received")["briggs"]
    assert recorded["status"] == ("finished" if case.error is None else "failed")
    if not case.is_binary and case.received:
        check_received(recorded["received"], case)
    if case.error is not None:
        error = json.dumps(read_error(reply)).replace(name_of(case), case.provider)
        assert as_text(json.loads(error)) == as_text(case.error)
        return
    assert reply.status == 200, reply.body
    answer = fold(reply) if case.streams else reply.json
    expected = dict(case.response)
    if case.streams and not (case.request.get("stream_options") or {}).get("include_usage"):
        expected.pop("usage", None)
    id = reply.headers["x-briggs-completion-id"]
    assert as_text(normalise(answer, completion_id=id)) == as_text(expected)


def check_received(received: str | None, case: Case) -> None:
    """The vendor's bytes are recorded. If they conform unchanged, they are recorded only once."""
    sent = (case.received or b"").decode()
    if case.error is None:
        assert received in (None, sent)
    else:
        # Reading stops at a failure, even in the middle of a character.
        assert received
        assert sent.startswith(received.rstrip("\ufffd"))


@named(BROKEN)
def test_a_stream_that_breaks_off(server: Server, case: Case) -> None:
    """If a vendor stops during its stream, the caller gets an error and no [DONE]."""
    reply = server.chat({**case.request, "model": f"{name_of(case, '..breaks')}/{case.model}"})
    assert "cut its stream short" in read_error(reply)["error"]["message"]
    assert server.find(reply)["briggs"]["failure_kind"] == "upstream_truncated"


@named(BROKEN)
def test_a_caller_who_hangs_up(server: Server, vendors: Upstream, case: Case) -> None:
    """A caller who leaves during the stream also ends the vendor's, and that is recorded."""
    vendors.hung_up.clear()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    body = json.dumps({**case.request, "model": f"{name_of(case, '..waits')}/{case.model}"})
    headers = {"authorization": f"Bearer {server.key}"}
    connection.request("POST", "/v1/chat/completions", body, headers)
    response = connection.getresponse()
    assert response.read(6) == b"data: "
    response.close()
    connection.close()
    assert vendors.hung_up.wait(PATIENCE_S)
    path = f"/v1/chat/completions/{response.headers['x-briggs-completion-id']}"

    def is_recorded() -> bool:
        recorded = server.send("GET", path)
        return recorded.status == 200 and recorded.json["briggs"]["failure_kind"] == "hang_up"

    wait_for(is_recorded)


def read_error(reply: Reply) -> Any:
    """The error object of an answer, or of the last frame of a stream."""
    if reply.headers["content-type"].startswith("text/event-stream"):
        return json.loads(read_frames(reply.body)[-1])
    return reply.json


def fold(reply: Reply) -> dict[str, Any]:
    """The text of a whole stream's frames."""
    folded = Fold()
    frames = read_frames(reply.body)
    assert frames.pop() == "[DONE]"
    for frame in frames:
        folded.add(json.loads(frame))
    return folded.response()
