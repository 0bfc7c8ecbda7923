"""Every number, index and name from outside is bounded before it is used."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from briggs.conform import (
    Asked,
    Conformed,
    ConformStream,
    InBandError,
    NotConforming,
    conform_response,
)
from briggs.conform.drafts import Draft, Fixes
from briggs.conform.message import restore_content
from briggs.rules import check_response, check_stream, is_checkable
from briggs.types.envelope import open_envelope
from briggs.types.errors import InvalidRequest
from briggs.types.fold import Fold
from briggs.types.usage import COUNT_MAX
from briggs.wires.words.errors import describe_error
from tests.processes import create_response

Json = dict[str, Any]
ASKED = Asked(completion_id="ours", model="provider/m")
MESSAGES = [{"role": "user", "content": "hi"}]
# Ten times what each of them takes on a busy machine; without its bound each takes minutes.
PATIENCE_S = 20


def conform(body: bytes | Json) -> Conformed:
    return conform_response(
        body if isinstance(body, bytes) else json.dumps(body).encode(), asked=ASKED
    )


def create_chunk(**choice: Any) -> bytes:
    said = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": None, **choice}
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": "m-1",
    }
    return json.dumps({**chunk, "choices": [said]}).encode()


@pytest.mark.parametrize(
    ("members", "param", "code"),
    [
        ({"n": 129}, "n", "integer_above_max_value"),
        ({"n": 1_000_000_000}, "n", "integer_above_max_value"),
        ({"n": 2**64}, "n", "integer_above_max_value"),
        ({"n": int("9" * 4000)}, "n", "integer_above_max_value"),
        ({"n": 0}, "n", "integer_below_min_value"),
        ({"n": -1}, "n", "integer_below_min_value"),
        ({"n": 1.5}, "n", None),
        ({"n": True}, "n", None),
        ({"n": "2"}, "n", None),
        ({"top_logprobs": 21}, "top_logprobs", "integer_above_max_value"),
        ({"top_logprobs": -1}, "top_logprobs", "integer_below_min_value"),
        ({"logprobs": 10**9}, "logprobs", "integer_above_max_value"),
        ({"model": "m" * 1001}, "model", "string_above_max_length"),
    ],
)
def test_numbers_of_a_request(members: Json, param: str, code: str | None) -> None:
    """A number out of bounds is refused by name, as OpenAI does."""
    with pytest.raises(InvalidRequest) as caught:
        open_envelope(json.dumps({"model": "m", "messages": MESSAGES, **members}).encode())
    assert (caught.value.param, caught.value.code) == (param, code)
    assert len(caught.value.message) < 200


def test_a_number_of_digits_that_no_number_has() -> None:
    """A number of 10,000 digits is refused without being parsed."""
    body = b'{"model": "m", "messages": [{"role": "user"}], "n": %b}' % (b"1" * 10_000)
    with pytest.raises(InvalidRequest):
        open_envelope(body)


@pytest.mark.parametrize("number", [1, 2, 128, None])
def test_choices_that_may_be_asked_for(number: int | None) -> None:
    """`n` is from 1 to 128, or null for the default."""
    body = json.dumps({"model": "m", "messages": MESSAGES, "n": number}).encode()
    assert open_envelope(body).choices_asked == (number or 1)


@pytest.mark.parametrize("count", [2**63, 2**62, 2**53, COUNT_MAX + 1, 10**300, -1, 1.5, "9" * 30])
@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens"])
def test_counts_that_nobody_can_have_counted(name: str, count: Any) -> None:
    """Impossible counts remove the usage, so they cost nothing. The answer is kept."""
    usage = {"prompt_tokens": 5, "completion_tokens": 2, name: count}
    conformed = conform(create_response(usage=usage))
    assert conformed.facts.prompt_tokens is None
    assert "usage" not in json.loads(conformed.body)


def test_counts_that_add_up_to_too_many() -> None:
    """Possible counts with an impossible sum remove the usage."""
    half = COUNT_MAX // 2 + 1
    usage = {"prompt_tokens": half, "completion_tokens": half, "total_tokens": 2 * half}
    assert conform(create_response(usage=usage)).facts.total_tokens is None


@pytest.mark.parametrize("count", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_counts_that_are_no_numbers(count: str) -> None:
    """A NaN or infinite count removes the usage; such a cost only itself. The answer is kept."""
    usage = '{"prompt_tokens": 5, "completion_tokens": 2}'
    answer = json.dumps(create_response(usage="?"))
    body = answer.replace('"?"', usage.replace("5", count))
    conformed = conform(body.encode())
    assert "usage" not in json.loads(conformed.body)
    assert conformed.facts.finish_reasons == ["stop"]
    body = answer.replace('"?"', usage.replace("5", f'5, "cost": {count}'))
    conformed = conform(body.encode())
    assert (conformed.facts.prompt_tokens, conformed.facts.cost_usd) == (5, None)


@pytest.mark.parametrize("details", [{"cached_tokens": 2**63}, {"cache_write_tokens": 2**63}])
def test_parts_that_nobody_can_have_counted(details: Json) -> None:
    """An impossible part is removed from the usage."""
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": details}
    conformed = conform(create_response(usage=usage))
    assert (conformed.facts.cached_tokens, conformed.facts.cache_write_tokens) == (None, None)
    assert conformed.facts.prompt_tokens == 5


@pytest.mark.parametrize(
    "created",
    [
        2**63,
        10**300,
        -1,
        0,
        1.5e300,
        "9" * 100_000,
        "1e999",
        1_790_000_000_000,
        "x" * 100_000,
        [],
        None,
    ],
)
def test_times_that_are_none(created: Any) -> None:
    """`created` is always a time in seconds."""
    answer = json.loads(conform(create_response(created=created)).body)
    assert 1_600_000_000 < answer["created"] < 2_000_000_000


def test_choices_that_nobody_asked_for() -> None:
    """A million choices are refused at once, with a short message."""
    answer = create_response()
    answer["choices"] *= 50_000
    began = time.process_time()
    with pytest.raises(NotConforming) as caught:
        conform(answer)
    assert time.process_time() - began < PATIENCE_S
    assert len(str(caught.value)) < 200


def test_indices_of_a_stream() -> None:
    """A stream has no more choices than requested, whatever their indices."""
    stream = ConformStream(ASKED)
    stream.add(create_chunk(index=10**30, delta={"role": "assistant", "content": "a"}))
    with pytest.raises(NotConforming, match="1 choice") as caught:
        stream.add(create_chunk(index=10**30 + 1, delta={"role": "assistant", "content": "b"}))
    assert len(str(caught.value)) < 200


def test_a_name_that_every_chunk_would_repeat() -> None:
    """A long id is refused, because every mended chunk repeats it."""
    first = json.loads(create_chunk(delta={"role": "assistant"}))
    for name in ("id", "model", "system_fingerprint"):
        with pytest.raises(NotConforming, match=name):
            ConformStream(ASKED).add(json.dumps({**first, name: "x" * 100_000}).encode())


def test_chunks_that_wait_for_an_id() -> None:
    """Azure sends one chunk without an id. A stream of only such chunks is refused."""
    stream = ConformStream(ASKED)
    assert stream.add(b'{"choices": []}') == []
    with pytest.raises(NotConforming):
        for _ in range(100):
            stream.add(b'{"choices": []}')


def test_calls_of_a_choice() -> None:
    """The number of calls is limited, and finding one does not get slower."""
    stream = ConformStream(ASKED)
    began = time.process_time()
    with pytest.raises(NotConforming, match="tool calls"):
        for number in range(100_000):
            call = {"index": 10**18 + number, "id": f"call-{number}", "function": {"name": "f"}}
            stream.add(create_chunk(delta={"role": "assistant", "tool_calls": [call]}))
    assert time.process_time() - began < PATIENCE_S


def test_a_name_that_comes_with_every_piece_of_a_call() -> None:
    """The arguments so far are not parsed again for each piece, even if all end with `}`."""
    stream = ConformStream(ASKED)
    piece = {"function": {"name": "f", "arguments": '{"a": "' + "x" * 1_000_000 + "}"}}
    stream.add(create_chunk(delta={"role": "assistant", "tool_calls": [piece]}))
    more = create_chunk(delta={"tool_calls": [{"function": {"name": "f", "arguments": "}"}}]})
    began = time.process_time()
    for _ in range(20_000):
        stream.add(more)
    assert time.process_time() - began < PATIENCE_S
    folded = stream.fold()
    assert folded is not None
    [call] = json.loads(folded.body)["choices"][0]["message"]["tool_calls"]
    assert call["function"]["arguments"].endswith("x" + "}" * 20_001)


def test_many_calls_are_folded_in_time() -> None:
    """Each new call id is found at once."""
    fold = Fold()
    began = time.process_time()
    for number in range(50_000):
        call = {"index": 0, "id": f"call-{number}", "function": {"name": "f"}}
        fold.add({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})
    assert time.process_time() - began < PATIENCE_S
    assert len(fold.response()["choices"][0]["message"]["tool_calls"]) == 50_000


def test_many_parts_of_a_message_are_joined_in_time() -> None:
    """A text of a million parts is not copied for each part."""
    message = {"content": ["0123456789" * 10] * 300_000}
    began = time.process_time()
    restore_content(Draft(message, Fixes()))
    assert time.process_time() - began < PATIENCE_S
    assert len(message["content"]) == 30_000_000


def test_tokens_of_many_broken_characters() -> None:
    """If the bytes of tokens cannot be divided, the search ends soon."""
    tokens = [{"token": "\ufffd" * 20_000, "logprob": -0.5, "bytes": [239], "top_logprobs": []}]
    answer = create_response("\ufffd" * 20_000)
    answer["choices"][0]["logprobs"] = {"content": tokens, "refusal": None}
    asked = Asked(completion_id="ours", model="m", logprobs=True)
    began = time.process_time()
    conform_response(json.dumps(answer).encode(), asked=asked)
    assert time.process_time() - began < PATIENCE_S


def test_fixes_are_counted_and_not_all_noted() -> None:
    """Of a million faults, the first thousand are noted."""
    fixes = Fixes()
    for number in range(100_000):
        fixes.note("E5", f"choices[{number}]")
    assert fixes.made == 100_000
    assert len(fixes.noted) == 1000


def test_words_of_an_error_are_cut() -> None:
    """An upstream's error may be very long. The message to the caller is short."""
    assert len(describe_error({"error": {"message": "x" * 10_000_000}})) < 5000
    assert len(describe_error([{"a": "x" * 10_000_000}] * 2)) < 5000
    with pytest.raises(InBandError) as caught:
        conform({"error": {"message": "x" * 10_000_000}})
    assert len(str(caught.value)) < 5000


def test_findings_of_a_rule_are_bounded() -> None:
    """Only the first violations of a rule are reported, not a million."""
    answer = create_response()
    answer["choices"][0]["message"]["tool_calls"] = [{}] * 50_000
    assert len(check_response(json.dumps(answer).encode())) < 3000


def test_alternatives_that_come_twice_are_found_in_time() -> None:
    """L8 does not compare all alternatives of a token with each other."""
    others = [{"token": str(number), "logprob": -1.0, "bytes": None} for number in range(50_000)]
    token = {"token": "a", "logprob": -1.0, "bytes": [97], "top_logprobs": [*others, others[-1]]}
    answer = create_response("a")
    answer["choices"][0]["logprobs"] = {"content": [token], "refusal": None}
    began = time.process_time()
    assert "L8" in {finding.rule for finding in check_response(json.dumps(answer).encode())}
    assert time.process_time() - began < PATIENCE_S


def test_what_is_too_large_to_be_checked() -> None:
    """A stream of real chunks can be checked. A flood of empty ones is refused."""
    chunk = b"data: " + create_chunk(delta={"content": "a"}) + b"\n\n"
    assert is_checkable(chunk * 50_000)
    assert check_stream(chunk * 2)
    assert not is_checkable(b"data: {}\n\n" * 50_000)
    assert not is_checkable(b":\n" * 50_000)
    assert not is_checkable(b" " * 17_000_000)


def test_values_of_a_request_are_counted_exactly() -> None:
    """250,000 JSON values are read, and one more is not. Commas in strings are no values."""
    text = json.dumps('", \\" ,' * 50_000)
    request = '{"model":"m","messages":[{"role":"user","content":%s}],"list":[%s]}'
    for count, is_read in ((249_997, True), (249_998, False)):
        body = (request % (text, ",".join("1" * count))).encode()
        if is_read:
            assert open_envelope(body).model == "m"
        else:
            with pytest.raises(InvalidRequest, match="more than 250,000 JSON values"):
                open_envelope(body)
