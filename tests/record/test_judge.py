"""Which answers are judged, against which request, and that no answer is forgotten."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from briggs.record import judge as module
from briggs.record.evidence import Evidence, find_broken, open_case
from briggs.record.judge import Judge
from briggs.storage import Store
from briggs.types.completions import Completion
from briggs.types.envelope import open_envelope
from briggs.types.errors import (
    BriggsError,
    HangUp,
    StoreUnavailable,
    UpstreamInvalid,
    UpstreamRejected,
    UpstreamTruncated,
)
from briggs.wires.base import Prepared
from tests.rules import examples
from tests.rules.examples import edit, encode_events

BROKEN = json.dumps(edit(examples.RESPONSE, {f"{examples.M}.role": "model"})).encode()
PLAIN = json.dumps(examples.RESPONSE).encode()


class Recorder:
    """The completions of a store, with only what the judge needs."""

    def __init__(self) -> None:
        self.found: dict[str, Sequence[str]] = {}
        self.failure: BriggsError | None = None
        self.recording = asyncio.Event()

    async def record_violates(self, found: Mapping[tuple[str, str], Sequence[str]]) -> None:
        if self.failure is not None:
            raise self.failure
        self.recording.set()
        await asyncio.sleep(0)
        self.found.update({id: rules for (_, id), rules in found.items()})


def open_judge() -> tuple[Judge, Recorder]:
    recorder = Recorder()
    return Judge(cast("Store", SimpleNamespace(completions=recorder))), recorder


def prepare(
    request: Mapping[str, Any] = examples.NONE,
    *,
    translated: bool = False,
    dropped: Sequence[str] = (),
    names_deployment: bool = False,
) -> Prepared:
    envelope = open_envelope(json.dumps({**examples.REQUEST, **request}).encode())
    return Prepared(envelope, "m-1", b"{}", dropped, translated, names_deployment)


def complete(**members: Any) -> Completion:
    return Completion(
        organization_id="default",
        **{"status": "finished", "provider": "mine", "response_model": "m-1", **members},
    )


def judge(
    completion: Completion, evidence: Evidence, error: BriggsError | None = None
) -> list[str] | None:
    case = open_case(completion, evidence, error)
    return None if case is None else find_broken(case)


async def take(judge: Judge, completion: Completion, evidence: Evidence) -> None:
    case = open_case(completion, evidence, None)
    assert case is not None
    await judge.take(case)


def test_a_plain_answer_is_no_case() -> None:
    """A plain answer is not judged, unless the request asks for more than text."""
    evidence = Evidence(prepare(), body=PLAIN, is_plain=True)
    assert open_case(complete(), evidence, None) is None
    for members in ({"stop": "x"}, {"tool_choice": "required"}, {"service_tier": "flex"}):
        asked = Evidence(prepare(members), body=PLAIN, is_plain=True)
        assert open_case(complete(), asked, None) is not None
    assert open_case(complete(response_model="m-2"), evidence, None) is not None


def test_the_request_is_the_one_that_was_sent() -> None:
    """Answers are judged against the target's model, without the parameters that were dropped."""
    body = json.dumps({**examples.RESPONSE, "model": "m-1-2026-08-06"}).encode()
    members = {"model": "fast", "n": 2, "stop": "Hi"}
    assert judge(complete(), Evidence(prepare(members), body=body)) == ["C1", "C8"]
    evidence = Evidence(prepare(members, dropped=["n", "stop"]), body=body)
    assert judge(complete(), evidence) == []


def test_a_deployment_may_be_any_model() -> None:
    """If the model is a deployment, the answer may name any model."""
    prepared = prepare(names_deployment=True)
    other = json.dumps({**examples.RESPONSE, "model": "gpt-5"}).encode()
    nameless = json.dumps({**examples.RESPONSE, "model": ""}).encode()
    completion = complete(response_model="gpt-5")
    assert judge(completion, Evidence(prepare(), body=other)) == ["E4"]
    assert judge(completion, Evidence(prepared, body=other)) == []
    assert judge(completion, Evidence(prepared, body=nameless)) == ["E4"]
    assert open_case(completion, Evidence(prepared, body=other, is_plain=True), None) is None


def test_another_vendors_stream_is_judged_as_chunks() -> None:
    """If a vendor has its own format, the translated chunks are judged, not its bytes."""
    evidence = Evidence(prepare({"stream": True}, translated=True))
    for chunk in edit(examples.CHUNKS, {"[1].created": 1790000001})[:3]:
        evidence.add([json.dumps(chunk).encode()])
    completion = complete(stream=True, received=b"\0theirs")
    assert judge(completion, evidence) == ["S4"]
    assert judge(completion, evidence, UpstreamTruncated("cut")) == ["S3", "S4"]
    assert judge(complete(), Evidence(prepare(translated=True)), HangUp()) is None


def test_who_hangs_up_breaks_no_rule() -> None:
    """The end of a stream is not judged if the caller or an invalid chunk ended it."""
    received = encode_events(examples.CHUNKS[:2]).removesuffix(b"data: [DONE]\n\n")
    completion = complete(stream=True, received=received)
    evidence = Evidence(prepare({"stream": True}))
    assert judge(completion, evidence, HangUp()) == []
    assert judge(completion, evidence, UpstreamInvalid("no")) == []
    assert judge(completion, evidence, UpstreamTruncated("cut")) == ["S3", "S6"]


def test_an_errors_body_is_judged_as_one() -> None:
    """The body of an error status is judged as an error, unlike a failure during a stream."""
    error = UpstreamRejected("404", upstream_status=404)
    error.received = b'{"error": "no such model"}'
    completion = complete(status="failed", received=error.received)
    assert judge(completion, Evidence(prepare()), error) == ["H2"]
    in_band = UpstreamRejected("failed", upstream_status=502)
    received = encode_events([examples.CHUNKS[0], {"error": {"code": 502}}])
    completion = complete(stream=True, received=received)
    assert judge(completion, Evidence(prepare({"stream": True})), in_band) == ["S14"]


async def test_what_is_found_is_recorded_and_counted() -> None:
    """Broken rules are recorded in batches and counted, and plain answers are not."""
    judge, recorder = open_judge()
    for id, body in (("a", BROKEN), ("b", PLAIN), ("c", BROKEN)):
        await take(judge, complete(id=id), Evidence(prepare(), body=body))
    assert recorder.found == {}
    await judge.close()
    assert recorder.found == {"a": ["M1"], "c": ["M1"]}
    assert judge.broken == {("mine", "M1"): 2}


async def test_too_many_that_wait_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the queue is full, adding a case waits until the queued cases are judged."""
    monkeypatch.setattr(module, "WAITING_MAX", 2)
    judge, recorder = open_judge()
    for id in "ab":
        await take(judge, complete(id=id), Evidence(prepare(), body=BROKEN))
    assert recorder.found == {}
    await take(judge, complete(id="c"), Evidence(prepare(), body=BROKEN))
    assert set(recorder.found) == {"a", "b", "c"}


async def test_whoever_asks_waits_for_what_was_answered_before() -> None:
    """`catch_up` waits for the cases that are being judged and for those in the queue."""
    judge, recorder = open_judge()
    await take(judge, complete(id="a"), Evidence(prepare(), body=BROKEN))
    await recorder.recording.wait()
    await take(judge, complete(id="b"), Evidence(prepare(), body=BROKEN))
    await judge.catch_up(timeout_s=10)
    assert set(recorder.found) == {"a", "b"}


async def test_large_answers_do_not_hold_up_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large answer is judged in another thread, and recorded too."""
    monkeypatch.setattr(module, "LARGE_BYTES", 10)
    judge, recorder = open_judge()
    await take(judge, complete(id="a"), Evidence(prepare(), body=BROKEN))
    await asyncio.wait_for(judge.close(), 10)
    assert recorder.found == {"a": ["M1"]}


async def test_a_store_that_fails_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """If the store fails, an error is logged, and judging continues."""
    judge, recorder = open_judge()
    recorder.failure = StoreUnavailable("the disk is full")
    await take(judge, complete(id="a"), Evidence(prepare(), body=BROKEN))
    with caplog.at_level(logging.ERROR):
        await judge.close()
    assert "the disk is full" in caplog.text
    recorder.failure = None
    await take(judge, complete(id="b"), Evidence(prepare(), body=BROKEN))
    await judge.close()
    assert recorder.found == {"b": ["M1"]}
