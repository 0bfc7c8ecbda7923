"""Every folder of `cases` tests its wire: the request that is sent, and the translated answer."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Iterator
from typing import Any

import openai.types.chat
import pytest

from briggs import rules
from briggs.conform import Asked, ConformStream, InBandError, NotConforming, conform_response
from briggs.types.envelope import open_envelope
from briggs.types.errors import InvalidRequest, UpstreamError
from briggs.wires.base import Prepared, Wire
from tests.wires.folders import (
    COMPLETION_ID,
    Case,
    as_text,
    list_cases,
    named,
    normalise,
    open_wire,
    split,
)

FOLDERS = list_cases()
CASES = [case for case in FOLDERS if case.find_problem() is None]
ANSWERED = [case for case in CASES if case.response is not None]
WHOLE = [case for case in ANSWERED if not case.streams]
STREAMED = [case for case in ANSWERED if case.streams]
SEEDS = range(5)


def prepare(case: Case, wire: Wire) -> Prepared:
    envelope = open_envelope(case.body)
    encoded = wire.encode(envelope, model=case.model)
    return Prepared(envelope, case.model, encoded.body, encoded.unsupported)


def create_asked(case: Case) -> Asked:
    envelope = open_envelope(case.body_asked)
    return Asked(
        completion_id=COMPLETION_ID,
        model=case.model,
        choices=envelope.choices_asked,
        logprobs=envelope.logprobs,
        top_logprobs=envelope.top_logprobs,
        names_tool=envelope.names_tool,
        include_usage=envelope.include_usage,
    )


def list_errors(findings: list[rules.Finding]) -> list[rules.Finding]:
    return [finding for finding in findings if finding.severity == "error"]


@named(FOLDERS)
def test_folder(case: Case) -> None:
    """A folder has every file that it needs, and no others."""
    assert case.find_problem() is None


@named([case for case in CASES if case.sent is not None])
def test_sent(case: Case) -> None:
    """A request is translated to the vendor's format, and unsupported members are named."""
    prepared = prepare(case, open_wire(case))
    assert as_text(json.loads(prepared.body)) == as_text(case.sent)
    assert list(prepared.dropped) == case.dropped


@named(WHOLE)
def test_received_whole(case: Case) -> None:
    """A whole answer becomes a chat completion that breaks no rule."""
    wire = open_wire(case)
    assert case.received is not None
    decoded = wire.decode(case.received, prepared=prepare(case, wire))
    body = conform_response(decoded, asked=create_asked(case)).body
    assert as_text(normalise(json.loads(body))) == as_text(case.response)
    openai.types.chat.ChatCompletion.model_validate_json(body, strict=True)
    assert not list_errors(rules.check_response(body, request=case.body_asked))


@named(STREAMED)
@pytest.mark.parametrize("seed", SEEDS)
def test_received_streamed(case: Case, seed: int) -> None:
    """A stream folds to the same however its bytes are split, and breaks no rule."""
    wire = open_wire(case)
    decoder = wire.open_stream(prepare(case, wire))
    conform = ConformStream(create_asked(case))
    passed: list[bytes] = []
    # The provider adds an empty line at the end.
    for data in [*split(case, seed), *([] if case.is_binary else [b"\n\n"])]:
        if decoder.done:
            break
        for payload in decoder.feed(data):
            passed += conform.add(payload)
    passed += conform.end()
    for payload in passed:
        openai.types.chat.ChatCompletionChunk.model_validate_json(payload, strict=True)
    folded = conform.fold()
    assert folded is not None
    assert as_text(normalise(json.loads(folded.body))) == as_text(case.response)
    openai.types.chat.ChatCompletion.model_validate_json(folded.body, strict=True)
    frames = b"".join(b"data: " + payload + b"\n\n" for payload in [*passed, b"[DONE]"])
    assert not list_errors(rules.check_stream(frames, request=case.body_asked))


ODD: list[Any] = [None, True, -1, 1.5, "", "x", [], {}, [None], [[]], [{}], ["x"], {"x": 1}]
# How many of an answer's possible changes are tried. Each case tries others.
CHANGES_MAX = 60


def replace_each(value: Any) -> Iterator[Any]:
    """A JSON value in which each part in turn is replaced or left out."""
    yield from ODD
    if not isinstance(value, dict | list):
        return
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        for other in replace_each(value[key]):
            changed = value.copy()
            changed[key] = other
            yield changed
        changed = value.copy()
        del changed[key]
        yield changed


def draw(case: Case, changes: list[str]) -> list[str]:
    """Some of the changes, the same ones each time."""
    return random.Random(case.id).sample(changes, min(CHANGES_MAX, len(changes)))


@named(CASES)
def test_odd_requests(case: Case) -> None:
    """Any request is translated, or refused as the caller's error."""
    wire = open_wire(case)
    for body in draw(case, [json.dumps(changed) for changed in replace_each(case.request)]):
        with contextlib.suppress(InvalidRequest):
            wire.encode(open_envelope(body.encode()), model="m")


@named([case for case in CASES if not case.streams and (case.received or b"").startswith(b"{")])
def test_odd_answers(case: Case) -> None:
    """Any answer of a vendor is understood, or gives a known error."""
    wire = open_wire(case)
    prepared = prepare(case, wire)
    changes = [json.dumps(changed) for changed in replace_each(json.loads(case.received or b""))]
    for body in draw(case, changes):
        assert wire.read_error(body.encode()).message
        with contextlib.suppress(UpstreamError, NotConforming, InBandError):
            decoded = wire.decode(body.encode(), prepared=prepared)
            conform_response(decoded, asked=create_asked(case))


@named([case for case in CASES if case.streams and not case.is_binary])
def test_odd_streams(case: Case) -> None:
    """Any stream of a vendor is understood, or gives a known error."""
    wire = open_wire(case)
    prepared = prepare(case, wire)
    for stream in draw(case, list(change_each_line(case))):
        decoder = wire.open_stream(prepared)
        with contextlib.suppress(UpstreamError):
            decoder.feed(stream.encode())


def change_each_line(case: Case) -> Iterator[str]:
    lines = (case.received or b"").decode().splitlines(keepends=True)
    for position, line in enumerate(lines):
        head, brace, _ = line.partition("{")
        for changed in replace_each(json.loads(line[len(head) :])) if brace else ():
            changed_line = f"{head}{json.dumps(changed)}\n"
            yield "".join([*lines[:position], changed_line, *lines[position + 1 :]])
