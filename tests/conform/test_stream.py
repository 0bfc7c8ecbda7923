"""Every known way in which servers break the rules in a stream, and its fix."""

# ruff: noqa: E501

from __future__ import annotations

import copy
import json
from typing import Any

import openai.types.chat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.conform import Asked, ConformStream, InBandError, NotConforming
from briggs.rules import check_stream

Json = dict[str, Any]
ASKED = Asked(completion_id="ours", model="provider/m")
WITH_USAGE = Asked(completion_id="ours", model="provider/m", include_usage=True)
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
STREAM = json.dumps({"model": "m", "messages": [], "stream": True})


def create_chunk(
    delta: Json | None = None,
    finish_reason: Any = None,
    *,
    choice: Json | None = None,
    **members: Any,
) -> Json:
    """A conforming chunk with these members changed. `...` removes one."""
    said = {"index": 0, "delta": delta or {}, "logprobs": None, "finish_reason": finish_reason}
    chunk = {
        "id": "chatcmpl-upstream",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": "m-1",
        "choices": [{name: value for name, value in (said | (choice or {})).items() if value is not ...}],
        **members,
    }  # fmt: skip
    return {name: value for name, value in chunk.items() if value is not ...}


BEGIN = create_chunk({"role": "assistant", "content": ""})
TEXT = create_chunk({"content": "Hello"})
END = create_chunk(finish_reason="stop")
CALLED = create_chunk(finish_reason="tool_calls")


def call(index: Any = ..., id: Any = ..., **function: Any) -> Json:
    """A chunk with a piece of one tool call."""
    piece = {"index": index, "id": id, "type": "function" if id is not ... else ...}
    piece = {name: value for name, value in piece.items() if value is not ...}
    return create_chunk({"tool_calls": [{**piece, "function": function}]})


def mend(*chunks: Json, asked: Asked = ASKED) -> tuple[list[Json], Json, list[tuple[str, str]]]:
    """The mended chunks, their fold, and the fixes. The mended chunks must break no rule."""
    stream = ConformStream(asked)
    sent = [json.dumps(copy.deepcopy(chunk)).encode() for chunk in chunks]
    passed = [payload for one in sent for payload in stream.add(one)] + stream.end()
    frames = b"".join(b"data: " + payload + b"\n\n" for payload in [*passed, b"[DONE]"])
    errors = [one for one in check_stream(frames) if one.severity == "error"]
    assert errors == []
    for payload in passed:
        openai.types.chat.ChatCompletionChunk.model_validate_json(payload, strict=True)
    folded = stream.fold()
    assert folded is not None
    openai.types.chat.ChatCompletion.model_validate_json(folded.body, strict=True)
    fixes = [(fix.rule, fix.path) for fix in folded.fixes]
    return [json.loads(payload) for payload in passed], json.loads(folded.body), fixes


def list_calls(response: Json) -> list[tuple[str, str]]:
    calls = response["choices"][0]["message"]["tool_calls"]
    assert len({one["id"] for one in calls}) == len(calls)
    return [(one["function"]["name"], one["function"]["arguments"]) for one in calls]


# What came, and the fixes; what goes out spells `Hello` and ends with `stop`.
CHOICE = "choices[0]"
STREAMS: list[tuple[str, list[Json], list[tuple[str, str]]]] = [
    ("nothing wrong", [BEGIN, TEXT, END], []),
    ("no role", [TEXT, END], [("S5", f"{CHOICE}.delta.role")]),
    ("the role in every chunk", [BEGIN, create_chunk({"role": "assistant", "content": "Hello"}), END], [("S5", f"{CHOICE}.delta.role")]),
    ("a null role", [BEGIN, create_chunk({"role": None, "content": "Hello"}), END], [("S5", f"{CHOICE}.delta.role")]),
    ("an empty reason", [BEGIN, create_chunk({"content": "Hello"}, ""), END], [("C3", f"{CHOICE}.finish_reason")]),
    ("no reason's name", [BEGIN, create_chunk({"content": "Hello"}, ...), END], []),
    ("two ends", [BEGIN, TEXT, END, END], [("S7", CHOICE)]),
    ("a native end", [BEGIN, TEXT, create_chunk(finish_reason="end_turn")], [("C3", f"{CHOICE}.finish_reason")]),
    ("text in the end", [BEGIN, create_chunk({"content": "Hello"}, "stop")], []),
    ("null calls", [BEGIN, create_chunk({"content": "Hello", "tool_calls": None}), END], [("M5", f"{CHOICE}.delta.tool_calls")]),
    ("a list of texts", [BEGIN, create_chunk({"content": ["Hel", "lo"]}), END], [("M2", f"{CHOICE}.delta.content")]),
    ("no index", [BEGIN, TEXT, create_chunk(finish_reason="stop", choice={"index": ...})], [("E5", f"{CHOICE}.index")]),
    ("another first index", [create_chunk(c["choices"][0]["delta"], c["choices"][0]["finish_reason"], choice={"index": 7}) for c in (BEGIN, TEXT, END)], [("C2", f"{CHOICE}.index")]),
    ("no choices", [BEGIN, TEXT, create_chunk(choices=...), END], [("E5", "choices")]),
    ("a message and no delta", [create_chunk(choice={"delta": ..., "message": {"role": "assistant", "content": "Hello"}}), END], [("S13", f"{CHOICE}.delta")]),
    ("another time", [BEGIN, {**TEXT, "created": 1_790_000_001}, END], [("S4", "created")]),
    ("milliseconds", [{**chunk, "created": 1_790_000_000_123} for chunk in (BEGIN, TEXT, END)], [("E3", "created")]),
    ("milliseconds of each chunk", [{**chunk, "created": 1_790_000_000_000 + 1000 * at} for at, chunk in enumerate((BEGIN, TEXT, END))], [("E3", "created"), ("S4", "created")]),
    ("no id at all", [{**chunk, "id": None} for chunk in (BEGIN, TEXT, END)], [("E2", "id")]),
    ("a fingerprint at the end", [BEGIN, TEXT, {**END, "system_fingerprint": "fp"}], [("S4", "system_fingerprint")]),
    ("an empty fingerprint first", [{**BEGIN, "system_fingerprint": ""}, TEXT, {**END, "system_fingerprint": "fp"}], [("S4", "system_fingerprint")]),
    ("a null fingerprint", [{**chunk, "system_fingerprint": None} for chunk in (BEGIN, TEXT, END)], []),
    ("a fingerprint that is an object", [{**chunk, "system_fingerprint": {"hash": "fp"}} for chunk in (BEGIN, TEXT, END)], [("E7", "system_fingerprint")]),
    ("another object", [BEGIN, {**TEXT, "object": "chat.completion"}, END], [("E1", "object")]),
    ("logprobs that nobody asked for", [BEGIN, create_chunk({"content": "Hello"}, choice={"logprobs": {"content": []}}), END], [("L1", f"{CHOICE}.logprobs")]),
    ("a usage on every chunk", [{**chunk, "usage": USAGE} for chunk in (BEGIN, TEXT, END)], [("S8", "usage")]),
    ("a usage in floats", [BEGIN, TEXT, END, create_chunk(choices=[], usage={"prompt_tokens": 5.0, "completion_tokens": 2, "total_tokens": 7})], [("U1", "usage.prompt_tokens")]),
    ("a usage in a choice", [BEGIN, TEXT, create_chunk(finish_reason="stop", choice={"usage": USAGE})], []),
    ("a tier of the vendor's own", [{**chunk, "service_tier": "on_demand"} for chunk in (BEGIN, TEXT, END)], [("E6", "service_tier")]),
    ("an error that is none", [BEGIN, {**TEXT, "error": ""}, END], [("S14", "error")]),
    ("a citation of nothing", [BEGIN, create_chunk({"content": "Hello", "annotations": [{"type": "url_citation"}]}), END], [("E5", f"{CHOICE}.delta.annotations")]),
    ("a usage of nothing", [BEGIN, TEXT, END, create_chunk(choices=[], usage={})], [("U1", "usage")]),
]  # fmt: skip


@pytest.mark.parametrize(("title", "came", "fixes"), STREAMS, ids=[row[0] for row in STREAMS])
def test_streams(title: str, came: list[Json], fixes: list[tuple[str, str]]) -> None:
    """A stream is mended chunk by chunk, and each kind of fix is noted once."""
    _, response, noted = mend(*came)
    assert noted == fixes
    [choice] = response["choices"]
    assert choice["message"]["content"] == "Hello"
    assert choice["finish_reason"] == "stop"
    if "fingerprint" in title:
        is_named = "null" not in title and "object" not in title
        assert response.get("system_fingerprint") == ("fp" if is_named else None)
    if "usage" in title and "nothing" not in title:
        assert response["usage"] == USAGE


# Pieces of the calls of `f` with {"a":1} and `g` with {}, in every known way.
CALLS: list[tuple[str, list[Json], list[str]]] = [
    ("as they should be", [call(0, "a", name="f", arguments=""), call(0, arguments='{"a":'), call(0, arguments="1}"), call(1, "b", name="g", arguments=""), call(1, arguments="{}")], []),
    ("whole", [call(0, "a", name="f", arguments='{"a":1}'), call(1, "b", name="g", arguments="{}")], []),
    ("no index", [call(..., "a", name="f", arguments='{"a":1}'), call(..., "b", name="g", arguments="{}")], ["index"]),
    ("no index, in pieces", [call(..., "a", name="f", arguments='{"a":'), call(arguments="1}"), call(..., "b", name="g", arguments="{}")], ["index"]),
    ("index 0 for all", [call(0, "a", name="f", arguments='{"a":1}'), call(0, "b", name="g", arguments="{}")], ["index"]),
    ("index 0 and no ids", [call(0, name="f", arguments='{"a":1}'), call(0, name="g", arguments="{}")], ["id", "type", "index"]),
    ("from 1", [call(1, "a", name="f", arguments='{"a":1}'), call(2, "b", name="g", arguments="{}")], ["index"]),
    ("names in every piece", [call(0, "a", name="f", arguments='{"a":'), call(0, "a", name="f", arguments="1}"), call(1, "b", name="g", arguments="{}")], ["id", "type", "function.name"]),
    ("null names later", [call(0, "a", name="f", arguments='{"a":'), call(0, None, name=None, arguments="1}"), call(1, "b", name="g", arguments="{}")], ["id", "type", "function.name"]),
    ("objects", [call(0, "a", name="f", arguments={"a": 1}), call(1, "b", name="g", arguments={})], ["function.arguments"]),
    ("null arguments", [call(0, "a", name="f", arguments=None), call(0, arguments='{"a":1}'), call(1, "b", name="g", arguments="{}")], ["function.arguments"]),
    ("an id that comes later", [call(0, name="f", arguments='{"a":'), call(0, "a", arguments="1}"), call(1, "b", name="g", arguments="{}")], ["id", "type"]),
    ("ids of 'null'", [call(0, "null", name="f", arguments='{"a":1}'), call(1, "null", name="g", arguments="{}")], ["id"]),
]  # fmt: skip


@pytest.mark.parametrize(("title", "pieces", "mended"), CALLS, ids=[row[0] for row in CALLS])
def test_calls(title: str, pieces: list[Json], mended: list[str]) -> None:
    """Two calls stay separate, however their pieces are numbered and named."""
    _, response, noted = mend(BEGIN, *pieces, CALLED)
    assert list_calls(response) == [("f", '{"a":1}'), ("g", "{}")]
    paths = [path.removeprefix("choices[0].delta.tool_calls[0].") for _, path in noted]
    assert paths == mended


def test_the_same_function_twice() -> None:
    """A name after complete arguments begins a new call, even without ids."""
    piece = call(0, name="f", arguments='{"a":1}')
    _, response, _ = mend(BEGIN, piece, piece, CALLED)
    assert list_calls(response) == [("f", '{"a":1}'), ("f", '{"a":1}')]


def test_calls_that_end_with_stop() -> None:
    """An answer with tool calls ends with `tool_calls`, unless the request named the tool."""
    whole = call(0, "a", name="f", arguments="{}")
    chunks, response, noted = mend(BEGIN, whole, END)
    assert response["choices"][0]["finish_reason"] == "tool_calls"
    assert chunks[-1]["choices"][0]["native_finish_reason"] == "stop"
    assert noted == [("C4", "choices[0].finish_reason")]
    named = Asked(completion_id="o", model="m", names_tool=True)
    assert mend(BEGIN, whole, END, asked=named)[2] == []


@pytest.mark.parametrize(
    "chunks",
    [
        [BEGIN, TEXT, create_chunk(finish_reason="error")],
        [BEGIN, TEXT, create_chunk(finish_reason="overloaded_error")],
        [BEGIN, TEXT, create_chunk(choice={"error": {"message": "error"}})],
        [BEGIN, TEXT, {"error": "error"}],
        [{"error": {"message": "error"}, "id": ""}],
        [BEGIN, TEXT, {**TEXT, "x_groq": {"id": "r", "error": "error"}}],
        [BEGIN, TEXT, {"object": "error", "message": "an error", "code": 400}],
        [{"detail": "error"}],
    ],
)
def test_failures(chunks: list[Json]) -> None:
    """A failure within a stream is raised, wherever it is."""
    with pytest.raises(InBandError, match="error"):
        mend(*chunks)


@pytest.mark.parametrize(
    "chunks",
    [
        [BEGIN, TEXT],
        [BEGIN, TEXT, END, TEXT],
        [BEGIN, TEXT, CALLED],
        [BEGIN, TEXT, create_chunk(finish_reason="sunset")],
        [BEGIN, call(0, "a", arguments="{}"), CALLED],
        [BEGIN, create_chunk({"content": 7}), END],
        [BEGIN, create_chunk({"function_call": {"arguments": "{}"}}), END],
        [BEGIN, create_chunk({"content": "Hello", "audio": False}), END],
        [create_chunk(choices=[7])],
        [],
    ],
)
def test_refused(chunks: list[Json]) -> None:
    """A fault that cannot be mended without inventing content is refused."""
    with pytest.raises(NotConforming):
        mend(*chunks)


ODD = [
    create_chunk({"content": "a"}, id="chatcmpl-other"),
    create_chunk({"content": "b"}, choice={"token_ids": [1]}),
    create_chunk({"content": "c", "reasoning_content": "r"}),
    create_chunk({"content": None, "refusal": "no"}),
    create_chunk({"content": "d"}, metadata={"content": "of something else"}),
]
"""Chunks that differ from others in more than their text."""


@given(
    st.lists(
        st.text(max_size=8) | st.sampled_from(["", " one", '"', "\\", "é\n", *ODD]), max_size=30
    ),
    st.sampled_from([(",", ":"), (", ", ": ")]),
    st.booleans(),
    st.lists(st.sampled_from(["", "a", "Zm9v1", "\\", '"']), min_size=1, max_size=4) | st.none(),
)
def test_chunks_that_differ_in_their_text_alone(
    said: list[str | Json],
    separators: tuple[str, str],
    ensure_ascii: bool,
    paddings: list[str] | None,
) -> None:
    """Such chunks pass and fold like any others, wherever they are in the stream."""
    chunks = [create_chunk({"content": text}) if isinstance(text, str) else text for text in said]
    if paddings is not None:
        places = enumerate(chunks)
        chunks = [{**one, "obfuscation": paddings[at % len(paddings)]} for at, one in places]
    at_once, slowly = ConformStream(ASKED), ConformStream(ASKED)
    for chunk in [BEGIN, TEXT, *chunks, END]:
        compact = json.dumps(chunk, separators=separators, ensure_ascii=ensure_ascii).encode()
        passed = at_once.add(compact)
        # Of this stream it is no more asked whether its chunks are alike.
        slowly._runs = 1_000
        assert passed == slowly.add(compact)
    folded, other = at_once.fold(), slowly.fold()
    assert folded is not None
    assert folded == other


def test_usage_goes_out_last() -> None:
    """A requested usage is sent once, last and in its own chunk, wherever it came."""
    for came in (
        [BEGIN, TEXT, {**END, "usage": USAGE}],
        [BEGIN, {**TEXT, "usage": {**USAGE, "prompt_tokens": 1}}, END, create_chunk(choices=[], usage=USAGE)],
        [BEGIN, TEXT, {**END, "x_groq": {"usage": USAGE}}],
        [BEGIN, TEXT, create_chunk(choices=[], usage=USAGE), END],
        [BEGIN, TEXT, END, create_chunk(choices=[], usage=USAGE), create_chunk(choices=[], usage=USAGE)],
    ):  # fmt: skip
        chunks, _, noted = mend(*came, asked=WITH_USAGE)
        assert "S8" in {rule for rule, _ in noted}
        assert [chunk.get("usage") for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
        assert (chunks[-1]["usage"], chunks[-1]["choices"]) == (USAGE, [])


_READ = {"input_tokens": 1, "cache_read_input_tokens": 4}


@pytest.mark.parametrize(
    ("usages", "cached"),
    [
        pytest.param([_READ, {"output_tokens": 2}], 4, id="the prompt first, then the completion"),
        pytest.param([{**_READ, "output_tokens": 1}, {"output_tokens": 2}], 4, id="both, then one"),
        pytest.param([USAGE, dict.fromkeys(USAGE, 0)], None, id="zeros at the end"),
        pytest.param([{**USAGE, "cached_tokens": 4}, USAGE], 4, id="the cached tokens once"),
        pytest.param([{"prompt_tokens": 5}, {"completion_tokens": 2, "total_tokens": 7}], None, id="a sum at the end"),
        pytest.param([{**USAGE, "completion_tokens": 1, "total_tokens": 6}, {**USAGE, "prompt_tokens": 0, "total_tokens": 2}], None, id="only what is new"),
    ],
)  # fmt: skip
def test_a_count_is_not_lost_to_a_later_usage(usages: list[Json], cached: int | None) -> None:
    """What one usage of a stream counted stays where a later one says nothing or 0 of it."""
    first, last = usages
    came = [{**TEXT, "usage": first}, END, create_chunk(choices=[], usage=last)]
    chunks, response, _ = mend(BEGIN, *came, asked=WITH_USAGE)
    usage = response["usage"]
    assert {name: usage[name] for name in USAGE} == USAGE
    assert usage.get("prompt_tokens_details", {}).get("cached_tokens") == cached
    assert chunks[-1]["usage"] == usage


def test_a_later_usage_replaces_one_by_itself() -> None:
    """What goes out is what is recorded, also if a usage follows the chunk that was only that."""
    early = create_chunk(choices=[], usage={**USAGE, "completion_tokens": 1, "total_tokens": 6})
    chunks, response, _ = mend(BEGIN, early, TEXT, {**END, "usage": USAGE}, asked=WITH_USAGE)
    assert chunks[-1]["usage"] == response["usage"] == USAGE


def test_a_cost_is_not_lost_to_a_later_zero() -> None:
    """A provider that says its cost once, and 0 afterwards, has said it."""
    stream = ConformStream(ASKED)
    for cost, chunk in ((0.25, TEXT), (0, END)):
        stream.add(json.dumps({**chunk, "usage": {**USAGE, "cost": cost}}).encode())
    folded = stream.fold()
    assert folded is not None
    assert folded.facts.cost_usd == 0.25


def test_audio_may_expire_after_the_end() -> None:
    """After the end of a choice, only the expiry time of its audio may follow."""
    expiry = create_chunk({"audio": {"expires_at": 1_800_000_000}}, ...)
    spoken = create_chunk({"audio": {"id": "a", "data": "AA==", "transcript": "t"}})
    chunks, response, noted = mend(BEGIN, spoken, END, expiry)
    assert chunks[-1]["choices"][0]["delta"] == {"audio": {"expires_at": 1_800_000_000}}
    assert response["choices"][0]["message"]["audio"]["expires_at"] == 1_800_000_000
    assert noted == []


def test_a_function_call_is_named_once() -> None:
    """A null name in a later piece of arguments is removed."""
    _, response, noted = mend(
        create_chunk({"role": "assistant", "function_call": {"name": "f", "arguments": ""}}),
        create_chunk({"function_call": {"name": None, "arguments": "{}"}}),
        create_chunk(finish_reason="function_call"),
    )
    message = response["choices"][0]["message"]
    assert message["function_call"] == {"name": "f", "arguments": "{}"}
    assert noted == [("M5", "choices[0].delta.function_call.name")]


def test_a_probability_that_is_no_number() -> None:
    """Logprobs with NaN are removed from their chunk, and the text is kept."""
    token = {"token": "Hello", "logprob": float("nan"), "bytes": None, "top_logprobs": []}
    logprobs = {"content": [token], "refusal": None}
    asked = Asked(completion_id="o", model="m", logprobs=True)
    text = create_chunk({"content": "Hello"}, choice={"logprobs": logprobs})
    _, response, noted = mend(BEGIN, text, END, asked=asked)
    assert response["choices"][0]["message"]["content"] == "Hello"
    assert noted == [("L3", "choices[0].logprobs")]


def test_a_failed_chunk_may_say_anything_of_itself() -> None:
    """A chunk that cannot be passed on is kept for the record, even with members of wrong types."""
    stream = ConformStream(ASKED)
    stream.add(json.dumps(BEGIN).encode())
    failed = {**TEXT, "system_fingerprint": {"hash": "fp"}, "service_tier": [1], "choices": [7]}
    failed |= {"id": [1], "model": {"name": "m-1"}}
    with pytest.raises(NotConforming, match="not an object"):
        stream.add(json.dumps(failed).encode())
    stream.keep(json.dumps(failed).encode())
    folded = stream.fold()
    assert folded is not None
    assert json.loads(folded.body)["system_fingerprint"] == {"hash": "fp"}
    assert (folded.facts.system_fingerprint, folded.facts.service_tier) == (None, None)


@pytest.mark.parametrize("name", ["id", "model"])
def test_a_name_that_is_no_text(name: str) -> None:
    """Of a stream that has only failed, the record has no name that is not a text."""
    stream = ConformStream(ASKED)
    stream.add(json.dumps({**BEGIN, name: ["m-1"]}).encode())
    stream.keep(json.dumps({name: {"x": 1}}).encode())
    folded = stream.fold()
    assert folded is not None
    assert isinstance(getattr(folded.facts, name), str | None)


@pytest.mark.parametrize(
    ("number", "kept"), [("1e999", 1.7976931348623157e308), ("-1e400", -1.7976931348623157e308)]
)
def test_a_number_beyond_all_floats(number: str, kept: float) -> None:
    """A member that nobody knows may be such a number, since JSON bounds none."""
    stream = ConformStream(ASKED)
    text = json.dumps({**TEXT, "x": "@"}).replace('"@"', number).encode()
    sent = [json.dumps(BEGIN).encode(), text, text, json.dumps(END).encode()]
    passed = [payload for one in sent for payload in stream.add(one)] + stream.end()
    assert len(passed) == 4
    folded = stream.fold()
    assert folded is not None
    response = json.loads(folded.body)
    assert response["choices"][0]["message"]["content"] == "HelloHello"
    assert response["x"] == kept


def test_a_usage_that_cannot_be_read() -> None:
    """It is refused when it comes, so that what came before it can still be recorded."""
    stream = ConformStream(WITH_USAGE)
    stream.add(json.dumps(BEGIN).encode())
    with pytest.raises(NotConforming, match="lone surrogate"):
        stream.add(json.dumps({**END, "usage": {**USAGE, "\ud800": 1}}).encode())
    assert stream.fold() is not None


@pytest.mark.parametrize("depth", [500, 5_000, 200_000])
def test_a_chunk_that_is_nested_too_deeply(depth: int) -> None:
    """A deeply nested chunk is passed on or refused."""
    chunk = json.dumps({**TEXT, "x": "@"}).replace('"@"', "[" * depth + "]" * depth).encode()
    stream = ConformStream(ASKED)
    stream.add(json.dumps(BEGIN).encode())
    try:
        assert len(stream.add(chunk)) == 1
    except NotConforming as error:
        assert "too deeply" in str(error)
