"""Malformed requests and answers of any shape give clear errors."""

from __future__ import annotations

import contextlib
import copy
import json
import random
from typing import Any

from briggs.types.envelope import open_envelope
from briggs.types.errors import InvalidRequest, UpstreamError
from briggs.types.sse import EventReader
from briggs.wires.base import Prepared
from tests.wires.folders import Case, list_cases, named, open_wire

PROVIDERS = ("anthropic", "bedrock", "cohere", "gemini", "mistral")
CASES = [case for case in list_cases() if case.provider in PROVIDERS and case.sent is not None]
VALUES: list[Any] = [None, True, -1, 2.5, 10**400, "", "x", [], [1], {}, {"a": {}}, [[{}]]]
MUTATIONS = 100


def mutate(value: Any, draw: random.Random) -> Any:
    """The same JSON with one of its values replaced or left out."""
    changed = copy.deepcopy(value)
    places = list_places(changed)
    holder, key = draw.choice(places)
    if isinstance(holder, dict) and draw.random() < 0.2:
        del holder[key]
    else:
        holder[key] = copy.deepcopy(draw.choice(VALUES))
    return changed


def list_places(value: Any) -> list[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    inner = [value[key] for key in keys if isinstance(value[key], dict | list) and value[key]]
    return [(value, key) for key in keys] + [place for item in inner for place in list_places(item)]


@named(CASES)
def test_a_malformed_request(case: Case) -> None:
    """A request of any shape is translated or refused."""
    wire = open_wire(case)
    draw = random.Random(case.id)
    for _ in range(MUTATIONS):
        body = json.dumps(mutate(case.request, draw)).encode()
        with contextlib.suppress(InvalidRequest):
            wire.encode(open_envelope(body), model=case.model)


@named([case for case in CASES if not case.streams])
def test_a_malformed_answer(case: Case) -> None:
    """An answer of any shape is translated or refused."""
    wire = open_wire(case)
    prepared = Prepared(open_envelope(case.body), case.model, b"")
    draw = random.Random(case.id)
    for _ in range(MUTATIONS if case.status == 200 else 0):
        with contextlib.suppress(UpstreamError):
            wire.decode(encode(mutate(json.loads(case.received or b""), draw)), prepared=prepared)


@named([case for case in CASES if case.streams and not case.is_binary])
def test_a_malformed_event(case: Case) -> None:
    """Events of any shape are translated or refused."""
    wire = open_wire(case)
    prepared = Prepared(open_envelope(case.body), case.model, b"")
    draw = random.Random(case.id)
    events = [event.data for event in EventReader().feed(case.received or b"")]
    values = [json.loads(data) for data in events if data.startswith(b"{")]
    for _ in range(MUTATIONS):
        sent = b"".join(b"data: %b\n\n" % encode(value) for value in mutate(values, draw))
        with contextlib.suppress(UpstreamError):
            for payload in wire.open_stream(prepared).feed(sent):
                json.loads(payload)


@named([case for case in CASES if case.status != 200])
def test_a_malformed_error(case: Case) -> None:
    """An error body of any shape gives a message."""
    wire = open_wire(case)
    draw = random.Random(case.id)
    bodies = [case.received or b"", b"", b"\xff", b"null", b"[]", b'"x"']
    with contextlib.suppress(ValueError):
        value = json.loads(case.received or b"")
        bodies += [encode(mutate(value, draw)) for _ in range(MUTATIONS)]
    for body in bodies:
        assert isinstance(wire.read_error(body).message, str)


def encode(value: Any) -> bytes:
    """JSON that keeps numbers of any size as they are."""
    return json.dumps(value).encode()
