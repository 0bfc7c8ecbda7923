"""The short form of `make fuzz`, and that its generator does what it says."""

from __future__ import annotations

import pytest

from briggs.app import FACES, ROUTES
from tests.fuzz.answers import create_sent
from tests.fuzz.exchange import Answer, Hostile, Outcome, parse
from tests.fuzz.report import describe
from tests.fuzz.requests import WIRES, Place, create_hostile
from tests.fuzz.run import SIDES, Side, run
from tests.fuzz.verdicts import judge

PLACE = Place(key="sk-briggs-key", port=1, trap_port=2, id="id")
GOOD = [(b"content-type", b"application/json"), (b"x-request-id", b"req_1")]


@pytest.mark.parametrize("side", SIDES)
async def test_nothing_breaks(side: Side) -> None:
    """Hostile inputs end in an answer, a stream or one error, and each answer is on record."""
    report = await run(side, seed=7, inputs=120, seconds=120, shown=2)
    assert report.is_good, describe(report)
    assert report.inputs == 120


def test_a_seed_is_a_run() -> None:
    """A seed and a number make the same bytes again, and another seed makes others."""
    for number in range(50):
        assert create_hostile(1, number, PLACE) == create_hostile(1, number, PLACE)
        assert create_sent(1, number) == create_sent(1, number)
    assert [create_sent(1, number) for number in range(9)] != [
        create_sent(2, number) for number in range(9)
    ]


def test_every_wire_and_route_is_tried() -> None:
    """Each wire answers whole and streamed, and each route is asked, in far less than a run."""
    sent = [create_sent(1, number) for number in range(100)]
    assert {(one.wire, one.stream) for one in sent} == {
        (wire, stream) for wire in WIRES for stream in (False, True)
    }
    asked = [create_hostile(1, number, PLACE).path for number in range(4000)]
    for route in ROUTES:
        assert route.path.partition("{")[0].rstrip("/").encode() in b" ".join(asked), route.path
    assert {*FACES} <= {*asked}


@pytest.mark.parametrize(
    ("status", "headers", "body", "problem"),
    [
        (500, GOOD, b'{"error": {"message": "x"}}', "500"),
        (400, GOOD[:1], b'{"error": {"message": "x"}}', "x-request-id"),
        (400, GOOD, b'{"error": {}}', "without words"),
        (200, GOOD, b'{"a": NaN}', "cannot be read"),
        (200, [*GOOD, (b"x-forged", b"1")], b"{}", "forged"),
        (200, GOOD, b'{"key": "sk-briggs-key"}', "secret"),
        (200, GOOD, b'{"object": "chat.completion"}', "breaks"),
        (200, [(b"content-type", b"text/event-stream"), GOOD[1]], b"data: {}\n\n", "DONE"),
    ],
)
def test_what_is_wrong_is_seen(
    status: int, headers: list[tuple[bytes, bytes]], body: bytes, problem: str
) -> None:
    """A judge that finds nothing wrong is of no use: each of these is found."""
    outcome = Outcome([Answer(status, headers, body)], None, False, 0.1, b"")
    hostile = Hostile("x", [], path=b"/v1/chat/completions")
    [found] = judge(hostile, outcome, secrets=(b"sk-briggs-key",))
    assert problem in found


def test_silence_is_seen() -> None:
    """No answer is a hang, and a connection that is closed without one is wrong too."""
    for was_closed, problem in ((False, "no answer within"), (True, "closed without")):
        outcome = Outcome([], None, was_closed, 25, b"")
        [found] = judge(Hostile("x", []), outcome, secrets=())
        assert problem in found


def test_answers_are_read_as_http() -> None:
    """Answers that follow each other are told apart; what is not HTTP, or is cut, is a fault."""
    one = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
    answers, fault = parse(b"HTTP/1.1 100 Continue\r\n\r\n" + one + one, b"POST", ended=False)
    assert ([answer.body for answer in answers], fault) == ([b"{}", b"{}"], None)
    assert parse(one[:-1], b"POST", ended=True)[1] is not None
    assert parse(one + b"{", b"HEAD", ended=True)[1] is not None
    assert parse(b"hello\r\n\r\n", b"POST", ended=False)[1] is not None
