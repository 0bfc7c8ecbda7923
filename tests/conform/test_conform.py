"""Any upstream answer becomes a conforming one or a clear refusal."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import msgspec
import openai.types.chat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.conform import (
    Asked,
    ConformStream,
    InBandError,
    NotConforming,
    conform_response,
)
from briggs.rules import Finding, check_response, check_stream
from briggs.wires.words.errors import describe_error
from tests.mutations import (
    TOKEN,
    UNMENDED,
    create_full_response,
    create_stream,
    encode,
    mutated,
    mutated_stream,
)
from tests.processes import create_response

ASKED = Asked(completion_id="ours", model="provider/m", logprobs=True, top_logprobs=1)


def feed(payloads: list[bytes], *, asked: Asked = ASKED) -> tuple[list[bytes], ConformStream]:
    stream = ConformStream(asked)
    passed = [one for payload in payloads for one in stream.add(payload)]
    return passed + stream.end(), stream


def test_a_conforming_answer_passes_as_bytes() -> None:
    """A conforming answer passes unchanged, including white space."""
    body = json.dumps(create_full_response(), indent=1).encode()
    conformed = conform_response(body, asked=ASKED)
    assert conformed.body is body
    assert conformed.facts.finish_reasons == ["tool_calls"]
    assert conformed.fixes == []
    assert conformed.facts.cached_tokens == 1


def test_a_conforming_stream_passes_as_bytes() -> None:
    """A conforming stream passes unchanged, except for the place of its usage."""
    payloads = [encode(chunk) for chunk in create_stream()]
    passed, stream = feed(payloads)
    assert passed == payloads[:-1]
    folded = stream.fold()
    assert folded is not None
    assert folded.facts.total_tokens == 7
    assert folded.fixes == []
    passed, _ = feed(payloads, asked=msgspec.structs.replace(ASKED, include_usage=True))
    assert [json.loads(one) for one in passed] == create_stream()


REQUEST = encode({"model": "m", "messages": [], "logprobs": True, "top_logprobs": 1})


def readable(body: bytes) -> bytes:
    """A body that pydantic accepts: no lone surrogates, and no vendor's own tier."""
    value = json.loads(body.replace(b"\\ud83d", b"?"))
    value.pop("service_tier", None)
    return encode(value)


def list_errors(findings: list[Finding]) -> list[Finding]:
    errors = [finding for finding in findings if finding.severity == "error"]
    return [finding for finding in errors if finding.rule not in UNMENDED]


@given(mutated(create_full_response()), st.booleans())
def test_any_response(response: Any, logprobs: bool) -> None:
    """A mutated answer is refused, or mended so that a second pass finds nothing to mend."""
    asked = msgspec.structs.replace(ASKED, logprobs=logprobs)
    try:
        conformed = conform_response(encode(response), asked=asked)
    except (NotConforming, InBandError) as error:
        assert str(error)
        return
    assert not list_errors(check_response(conformed.body, request=REQUEST if logprobs else None))
    again = conform_response(conformed.body, asked=asked)
    assert again.body == conformed.body
    assert again.facts == conformed.facts
    assert again.fixes == []
    openai.types.chat.ChatCompletion.model_validate_json(readable(conformed.body), strict=True)


@given(mutated_stream())
def test_any_stream(chunks: Any) -> None:
    """A mutated stream is refused, or mended so that a second pass changes nothing."""
    try:
        passed, stream = feed([encode(chunk) for chunk in chunks])
    except (NotConforming, InBandError) as error:
        assert str(error)
        return
    assert feed(passed)[0] == passed
    frames = b"".join(b"data: " + payload + b"\n\n" for payload in [*passed, b"[DONE]"])
    assert not list_errors(check_stream(frames, request=REQUEST))
    for payload in passed:
        openai.types.chat.ChatCompletionChunk.model_validate_json(readable(payload), strict=True)
    folded = stream.fold()
    assert folded is not None
    again = conform_response(folded.body, asked=ASKED)
    assert again.facts.finish_reasons == folded.facts.finish_reasons
    openai.types.chat.ChatCompletion.model_validate_json(readable(folded.body), strict=True)


@given(st.binary(max_size=200))
def test_any_bytes(body: bytes) -> None:
    """Bytes that are not JSON are refused without any other error."""
    with pytest.raises(NotConforming):
        conform_response(body, asked=ASKED)
    with pytest.raises((NotConforming, InBandError)):
        feed([body])


@pytest.mark.parametrize(
    ("created", "restored"),
    [
        (1_746_709_563.49, 1_746_709_563),
        (1_746_709_563_492, 1_746_709_563),
        ("2026-01-18T00:00:00Z", 1_768_694_400),
        ("2026-01-18T00:00:00+00:00", 1_768_694_400),
    ],
)
def test_created(created: Any, restored: int) -> None:
    """Times in other units become whole seconds."""
    body = conform_response(encode(create_response(created=created)), asked=ASKED).body
    assert json.loads(body)["created"] == restored


def test_created_that_is_missing() -> None:
    """An answer without a time gets the current one."""
    body = conform_response(encode(create_response(created=0)), asked=ASKED).body
    assert abs(json.loads(body)["created"] - time.time()) < 60


def test_more_alternatives_than_asked_for() -> None:
    """Alternatives that were not requested are removed, whole and streamed."""
    none = msgspec.structs.replace(ASKED, top_logprobs=0)
    body = conform_response(encode(create_full_response()), asked=none).body
    [token] = json.loads(body)["choices"][0]["logprobs"]["content"]
    assert token == {**TOKEN, "top_logprobs": []}
    passed, _ = feed([encode(chunk) for chunk in create_stream()], asked=none)
    assert b'"top_logprobs":[]' in passed[1]


def test_ids_that_are_missing() -> None:
    """An answer without an id gets ours. A tool call without an id gets one, once."""
    body = conform_response(encode(create_response(id="")), asked=ASKED).body
    assert json.loads(body)["id"] == "chatcmpl-ours"
    chunks = create_stream()
    del chunks[3]["choices"][0]["delta"]["tool_calls"][0]["id"]
    passed, stream = feed([encode(chunk) for chunk in chunks])
    [call] = json.loads(passed[3])["choices"][0]["delta"]["tool_calls"]
    folded = stream.fold()
    assert folded is not None
    assert (
        json.loads(folded.body)["choices"][0]["message"]["tool_calls"][0]["id"] == call["id"] != ""
    )


def test_first_chunk_without_an_identity() -> None:
    """A chunk about the prompt, before any id, waits for one."""
    chunks = create_stream()
    early = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "filter": [1]}
    passed, _ = feed([encode(chunk) for chunk in [early, *chunks]])
    assert json.loads(passed[0])["id"] == chunks[0]["id"]
    assert json.loads(passed[0])["filter"] == [1]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("plain", "plain"),
        ({"message": "m"}, "m"),
        ({"error": {"message": "m"}}, "m"),
        ({"detail": [{"msg": "x"}]}, '{"msg":"x"}'),
        ({"detail": [{"loc": ["body", "model"], "msg": "required"}]}, "body.model: required"),
        ({"object": "error", "message": {"detail": [1]}}, "1"),
        ([{"error": {"code": 400, "message": "m"}}], "m"),
        ({"errors": [{"message": "m"}], "success": False}, "m"),
        ({"error": None}, '{"error":null}'),
        ({"error": {"message": None}}, '{"error":{"message":null}}'),
        (17, "17"),
    ],
)
def test_words_of_errors(error: Any, words: str) -> None:
    """The message of an error is found in every format that servers use."""
    assert describe_error(error) == words


def test_the_facts_say_how_sure_the_model_was() -> None:
    """The mean and the least probability are those of all tokens, whole, mended or streamed."""
    whole = create_full_response()
    [choice] = whole["choices"]
    choice["logprobs"]["content"] = [
        {**TOKEN, "logprob": logprob} for logprob in (0.001, -1.0, -2.0)
    ]
    mended = {**whole, "object": "none"}
    chunks = create_stream()
    [chunk] = [each for each in chunks if _list_tokens(each)]
    payloads = [
        encode({**each, "choices": [{**each["choices"][0], "logprobs": choice["logprobs"]}]})
        if each is chunk
        else encode(each)
        for each in chunks
    ]
    folded = feed(payloads)[1].fold()
    answers = [conform_response(encode(each), asked=ASKED) for each in (whole, mended)]
    for conformed in (*answers, folded):
        assert conformed is not None
        assert conformed.facts.p_mean == pytest.approx(math.exp(-0.999666), abs=1e-4)
        assert conformed.facts.p_least == pytest.approx(math.exp(-2))
    for empty in ({"logprobs": None}, {"logprobs": {"content": None, "refusal": None}}):
        quiet = {**whole, "choices": [{**choice, **empty}]}
        assert conform_response(encode(quiet), asked=ASKED).facts.p_mean is None


def _list_tokens(chunk: dict[str, Any]) -> Any:
    return any((each.get("logprobs") or {}).get("content") for each in chunk["choices"])
