"""An answer that passes the quick check passes the full check."""

from __future__ import annotations

import json as stdlib_json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from briggs.conform import Asked, ConformStream, InBandError, NotConforming, conform_response
from briggs.rules import Finding, check_response, check_stream
from briggs.rules.quick import is_plain_stream
from briggs.types import json
from briggs.types.sse import EventReader
from tests.rules import examples
from tests.rules.examples import edit, encode_events
from tests.rules.test_any_json import mutated

ASKED = Asked(completion_id="1", model="m-1", logprobs=True, include_usage=True)
REQUEST: dict[str, Any] = {**examples.REQUEST, "logprobs": True}
DETAILS = {
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "accepted_prediction_tokens": 0},
}
TOKENS = [
    {"token": "Hi ", "logprob": -0.1, "bytes": [72, 105, 32], "top_logprobs": []},
    {"token": "😊", "logprob": -0.2, "bytes": [240, 159, 152, 138], "top_logprobs": []},
]
PLAIN = edit(
    examples.RESPONSE,
    {
        examples.LOGPROBS: {"content": TOKENS, "refusal": None},
        "usage": {**examples.RESPONSE["usage"], **DETAILS},
        "system_fingerprint": "fp_1",
        "service_tier": "default",
    },
)
SAYS_NAMES = edit(
    PLAIN,
    {
        f"{examples.M}.content": '{"a":1}',
        examples.LOGPROBS: None,
    },
)
ASKED_TEXT = Asked(completion_id="1", model="m-1", include_usage=True)


def is_plain(body: bytes, *, asked: Asked = ASKED) -> bool:
    try:
        return conform_response(body, asked=asked).is_plain
    except (NotConforming, InBandError):
        return False


def find_worse(body: bytes, request: dict[str, Any] = REQUEST) -> list[Finding]:
    asked = stdlib_json.dumps(request).encode()
    is_stream = body.startswith(b"data: ")
    found = (check_stream if is_stream else check_response)(body, request=asked)
    # Whether the model is the one that was asked, its callers look at.
    return [finding for finding in found if finding.severity != "info" and finding.rule != "E4"]


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_an_ordinary_answer_is_plain(separators: tuple[str, str]) -> None:
    """A complete text passes the quick check, even if it looks like JSON."""
    plain = stdlib_json.dumps(PLAIN, separators=separators).encode()
    assert is_plain(plain)
    assert find_worse(plain) == []
    named = stdlib_json.dumps(SAYS_NAMES, separators=separators).encode()
    assert is_plain(named, asked=ASKED_TEXT)
    assert not is_plain(plain, asked=ASKED_TEXT)


@given(mutated([PLAIN]))
@example(edit(PLAIN, {f"{examples.FIRST}.logprob": 0.005}))
@example(edit(PLAIN, {f"{examples.FIRST}.token": "Ho "}))
@example(edit(PLAIN, {f"{examples.FIRST}.bytes": [72, 105, 33]}))
@example(edit(PLAIN, {f"{examples.FIRST}.top_logprobs": examples.OTHERS}))
@example(edit(PLAIN, {"usage.completion_tokens": 1, "usage.total_tokens": 10}))
@example(edit(PLAIN, {"usage.completion_tokens": 40, "usage.total_tokens": 49}))
@example(edit(PLAIN, {f"{examples.M}.refusal": "No."}))
@example(edit(PLAIN, {"system_fingerprint": None}))
@example(edit(PLAIN, {"service_tier": "on_demand"}))
def test_a_plain_answer_breaks_nothing(response: Any) -> None:
    """If a changed answer still passes the quick check, it breaks no rule."""
    body = json.encode(response)
    assert not is_plain(body) or find_worse(body) == []


def test_a_name_that_comes_twice_is_not_plain() -> None:
    """A name that comes twice needs the full check."""
    body = stdlib_json.dumps(PLAIN).encode()
    assert not is_plain(body.replace(b'"refusal"', b'"content": "x", "refusal"', 1))
    assert not is_plain(body.replace(b'"choices"', b'"id": "chatcmpl-1", "choices"', 1))


CHUNKS = [
    examples.CHUNKS[0],
    *[edit(examples.CHUNKS[1], {"choices[0].delta.content": text}) for text in 'ab"c\\d\n😊'],
    *examples.CHUNKS[2:],
]
WITH_USAGE = {**examples.REQUEST, **examples.WITH_USAGE}


def conform(stream: bytes) -> ConformStream | None:
    """The state after a stream that conforms unchanged; None for any other stream."""
    state = ConformStream(ASKED_TEXT)
    try:
        for event in EventReader().feed(stream):
            if event.data == b"[DONE]":
                break
            state.add(event.data)
        state.end()
    except (NotConforming, InBandError):
        return None
    folded = state.fold()
    return None if folded is None or folded.fixes else state


def test_an_ordinary_stream_is_plain() -> None:
    """A role, texts, an end and a usage pass the quick check, with or without padding."""
    assert is_plain_stream(encode_events(CHUNKS))
    padded = [{**chunk, "obfuscation": "x" * place} for place, chunk in enumerate(CHUNKS)]
    assert is_plain_stream(encode_events(padded))


@given(mutated(CHUNKS), st.integers(0, len(CHUNKS) - 1))
@example(CHUNKS[-1], 2)
@example(CHUNKS[-2], 2)
@example({**CHUNKS[1], "usage": examples.RESPONSE["usage"]}, 1)
@example(edit(CHUNKS[1], {"choices[0].delta.role": "assistant"}), 1)
@example(edit(CHUNKS[-2], {"choices[0].finish_reason": "length"}), len(CHUNKS) - 2)
@example(edit(CHUNKS[-2], {"choices[0].delta.content": "x"}), len(CHUNKS) - 2)
def test_a_plain_stream_breaks_nothing(chunk: Any, place: int) -> None:
    """If a changed stream still conforms and passes the quick check, it breaks no rule."""
    chunks = [*CHUNKS[:place], chunk, *CHUNKS[place + 1 :]]
    stream = b"".join(b"data: " + json.encode(one) + b"\n\n" for one in chunks)
    stream += b"data: [DONE]\n\n"
    state = conform(stream)
    if state is not None:
        is_plain = is_plain_stream(stream)
        # What was seen on the way saves a part of the check, and changes nothing.
        assert is_plain_stream(stream, alike=state.alike) == is_plain
        assert not is_plain or find_worse(stream, WITH_USAGE) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"\n\n", b"\r\n\r\n"),
        (b"data: [DONE]\n\n", b""),
        (b"data: [DONE]\n\n", b"data: [DONE]\n"),
        (b"data: [DONE]\n\n", b"data: [DONE]\n\ndata: [DONE]\n\n"),
        (b"data: ", b"event: x\ndata: "),
        (b'"delta": {}', b'"delta": {}, "delta": {}'),
        (b'"content": "a"', b'"content": "b", "content": "a"'),
    ],
)
def test_an_odd_stream_is_not_plain(before: bytes, after: bytes) -> None:
    """Frames of another shape, and names that come twice, get the full check."""
    stream = encode_events(CHUNKS)
    assert before in stream
    for alike in (0, len(CHUNKS) - 3):
        assert not is_plain_stream(stream.replace(before, after), alike=alike)


def test_the_short_cut_is_taken() -> None:
    """Of a stream whose chunks were seen to be alike, only the others are decoded."""
    stream = encode_events(CHUNKS)
    state = conform(stream)
    assert state is not None
    assert state.alike == len(CHUNKS) - 3
    odd = stream.replace(b'"content": "b"', b'"content" : "b"')
    assert is_plain_stream(odd, alike=state.alike)
    assert not is_plain_stream(odd)
