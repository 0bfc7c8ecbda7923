"""Every known way in which servers break the rules in a whole answer, and its fix."""

# ruff: noqa: E501

from __future__ import annotations

import copy
import json
from typing import Any

import openai.types.chat
import pytest

from briggs.conform import Asked, InBandError, NotConforming, conform_response
from briggs.rules import check_response
from tests.processes import create_response

Json = dict[str, Any]
ASKED = Asked(completion_id="ours", model="provider/m")
WITH_LOGPROBS = Asked(completion_id="ours", model="provider/m", logprobs=True, top_logprobs=2)
NAMED = Asked(completion_id="ours", model="provider/m", names_tool=True)
FUNCTION = {"name": "now", "arguments": "{}"}
CALL = {"id": "call_1", "type": "function", "function": FUNCTION}
MADE_UP = "(made up)"


def create_answer(
    *, message: Json | None = None, choice: Json | None = None, **members: Any
) -> Json:
    """A conforming answer with these members changed. `...` removes one."""
    answer = create_response(**members)
    answer["choices"][0]["message"] |= message or {}
    answer["choices"][0] |= choice or {}
    for holder in (answer, answer["choices"][0], answer["choices"][0]["message"]):
        for name in [name for name, value in holder.items() if value is ...]:
            del holder[name]
    return copy.deepcopy(answer)


def mend(answer: Json, *, asked: Asked = ASKED) -> tuple[Json, list[tuple[str, str]]]:
    """The mended answer and its fixes. The mended answer must break no rule."""
    conformed = conform_response(json.dumps(answer).encode(), asked=asked)
    errors = [one for one in check_response(conformed.body) if one.severity == "error"]
    assert errors == []
    openai.types.chat.ChatCompletion.model_validate_json(conformed.body, strict=True)
    return json.loads(conformed.body), [(fix.rule, fix.path) for fix in conformed.fixes]


def calling(*calls: Any, finish_reason: str = "tool_calls", **message: Any) -> Json:
    """An answer with tool calls."""
    said = {"content": None, "tool_calls": list(calls), **message}
    return create_answer(message=said, choice={"finish_reason": finish_reason})


def spelling(content: str, *tokens: tuple[str, list[int] | None]) -> Json:
    """An answer with logprobs."""
    listed = [
        {"token": token, "logprob": -0.1, "bytes": given, "top_logprobs": []}
        for token, given in tokens
    ]
    logprobs = {"content": listed, "refusal": None}
    return create_answer(message={"content": content}, choice={"logprobs": logprobs})


# What came, the members of the first choice's message that are expected, and the fixes.
MESSAGES: list[tuple[str, Json, Json, list[tuple[str, str]]]] = [
    ("no refusal", create_answer(message={"refusal": ...}), {"refusal": None}, [("E5", "refusal")]),
    ("another role", create_answer(message={"role": "model"}), {"role": "assistant"}, [("M1", "role")]),
    ("no role", create_answer(message={"role": ...}), {"role": "assistant"}, [("E5", "role")]),
    ("a list of texts", create_answer(message={"content": ["a", "b"]}), {"content": "ab"}, [("M2", "content")]),
    ("one part", create_answer(message={"content": {"type": "text", "text": "a"}}), {"content": "a"}, [("M2", "content")]),
    (
        "halves of a pair in two parts",
        create_answer(message={"content": ["\ud83d", "\ude0a"]}),
        {"content": "😊"},
        [("M2", "content")],
    ),
    (
        "thinking as text",
        create_answer(message={"content": [{"type": "thinking", "thinking": "hm"}, "42"]}),
        {"content": "42", "reasoning_content": "hm"},
        [("M2", "content")],
    ),
    (
        "a reference beside the text",
        create_answer(message={"content": ["42", {"type": "reference", "reference_ids": [1]}]}),
        {"content": "42", "content_parts": ["42", {"type": "reference", "reference_ids": [1]}]},
        [("M2", "content")],
    ),
    (
        "a refusal as a part",
        create_answer(message={"content": [{"type": "refusal", "refusal": "no"}]}),
        {"refusal": "no"},
        [("M2", "content")],
    ),
    ("null calls", create_answer(message={"tool_calls": None}), {}, [("M5", "tool_calls")]),
    ("no calls", create_answer(message={"tool_calls": []}), {}, [("M5", "tool_calls")]),
    ("null function_call", create_answer(message={"function_call": None}), {}, [("M5", "function_call")]),
    ("null annotations", create_answer(message={"annotations": None, "role": ...}), {}, [("E5", "role"), ("M5", "annotations")]),
    (
        "a citation that cites nothing",
        create_answer(message={"annotations": [{"type": "file", "file": {}}]}),
        {"annotations": []},
        [("E5", "annotations")],
    ),
    (
        "an id that is a number, and no type",
        calling({"id": 7, "function": FUNCTION}),
        {"tool_calls": [{"id": "7", "function": FUNCTION, "type": "function"}]},
        [("M6", "tool_calls[0].id"), ("M6", "tool_calls[0].type")],
    ),
    (
        "one id for two calls",
        calling(CALL, CALL),
        {"tool_calls": [CALL, {**CALL, "id": MADE_UP}]},
        [("M6", "tool_calls[1].id")],
    ),
    (
        "no arguments",
        calling({**CALL, "function": {"name": "now", "arguments": None}}),
        {"tool_calls": [{**CALL, "function": {"name": "now", "arguments": ""}}]},
        [("M7", "tool_calls[0].function.arguments")],
    ),
    (
        "a custom tool beside a null function",
        calling({"id": "c", "type": "custom", "custom": {"name": "sh", "input": "ls"}, "function": None}),
        {"tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "sh", "input": "ls"}}]},
        [("M6", "tool_calls[0].function")],
    ),
    (
        "an object for the older call",
        create_answer(
            message={"function_call": {"name": "now", "arguments": {"a": 1}}},
            choice={"finish_reason": "function_call"},
        ),
        {"function_call": {"name": "now", "arguments": '{"a":1}'}},
        [("M7", "function_call.arguments")],
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("title", "came", "expected", "fixes"), MESSAGES, ids=[row[0] for row in MESSAGES]
)
def test_messages(title: str, came: Json, expected: Json, fixes: list[tuple[str, str]]) -> None:
    """A message is mended, and the fixes are noted."""
    answer, noted = mend(came)
    message = answer["choices"][0]["message"]
    for call in message.get("tool_calls", ()):
        if call["id"].startswith("call_") and len(call["id"]) > 20:
            call["id"] = MADE_UP
    assert {name: message[name] for name in expected} == expected
    assert noted == [(rule, f"choices[0].message.{path}") for rule, path in fixes]


@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ("eos", "stop"),
        ("eos_token", "stop"),
        ("end", "stop"),
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("COMPLETE", "stop"),
        ("STOP", "stop"),
        ("max_tokens", "length"),
        ("MAX_TOKENS", "length"),
        ("model_length", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("guardrail_intervened", "content_filter"),
    ],
)
def test_native_reasons(native: str, reason: str) -> None:
    """A vendor's finish reason is translated, and the original is kept too."""
    answer, fixes = mend(create_answer(choice={"finish_reason": native}))
    assert answer["choices"][0]["finish_reason"] == reason
    assert answer["choices"][0]["native_finish_reason"] == native
    assert fixes == [("C3", "choices[0].finish_reason")]


@pytest.mark.parametrize("given", [None, "", ...])
def test_a_reason_that_stands_elsewhere(given: Any) -> None:
    """Without a finish_reason the native one counts. Without both, the answer is refused."""
    answer, [fix] = mend(
        create_answer(choice={"finish_reason": given, "native_finish_reason": "STOP"})
    )
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert fix == ("E5" if given is ... else "C3", "choices[0].finish_reason")
    with pytest.raises(NotConforming, match="without a finish_reason"):
        mend(create_answer(choice={"finish_reason": given}))


@pytest.mark.parametrize(
    "reason",
    ["error", "abort", "overloaded_error", "insufficient_system_resource", "load",
     "MALFORMED_FUNCTION_CALL", "network_error"],
)  # fmt: skip
def test_reasons_that_are_failures(reason: str) -> None:
    """An answer whose finish reason is a failure raises the upstream's message."""
    with pytest.raises(InBandError, match=reason):
        mend(create_answer(choice={"finish_reason": reason}))
    told = {"finish_reason": reason, "error": {"message": "the GPU fell off", "code": 502}}
    with pytest.raises(InBandError, match="the GPU fell off"):
        mend(create_answer(choice=told))


def test_an_error_beside_an_answer() -> None:
    """An error at the top of an answer counts, whatever else the answer has."""
    with pytest.raises(InBandError, match="quota"):
        mend(create_answer(error={"message": "quota"}))
    assert mend(create_answer(error=None))[1] == []


def test_reasons_that_nobody_knows() -> None:
    """An unknown finish reason is refused."""
    with pytest.raises(NotConforming, match="'sunset'"):
        mend(create_answer(choice={"finish_reason": "sunset"}))


def test_calls_that_end_with_stop() -> None:
    """An answer with tool calls ends with `tool_calls`, unless the request named the tool."""
    answer, fixes = mend(calling(CALL, finish_reason="stop"))
    assert answer["choices"][0]["finish_reason"] == "tool_calls"
    assert answer["choices"][0]["native_finish_reason"] == "stop"
    assert fixes == [("C4", "choices[0].finish_reason")]
    answer, fixes = mend(calling(CALL, finish_reason="stop"), asked=NAMED)
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert fixes == []
    for cut in ("length", "content_filter"):
        assert mend(calling(CALL, finish_reason=cut))[1] == []
    assert mend(calling(CALL, finish_reason="tool_use"))[1] == [("C3", "choices[0].finish_reason")]


@pytest.mark.parametrize(
    ("given", "restored", "fixes"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 2}, (5, 2, 7), {"total_tokens": "E5"}),
        ({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 9}, (5, 2, 7), {"total_tokens": "U2"}),
        ({"completion_tokens": 2, "total_tokens": 7}, (5, 2, 7), {"prompt_tokens": "E5"}),
        ({"prompt_tokens": "5", "completion_tokens": 2.0, "total_tokens": 7}, (5, 2, 7),
         {"prompt_tokens": "U1", "completion_tokens": "U1"}),
        ({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 10,
          "completion_tokens_details": {"reasoning_tokens": 3}}, (5, 5, 10), {"completion_tokens": "U2"}),
        ({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7,
          "prompt_tokens_details": {"cached_tokens": 6, "own": 1}}, (5, 2, 7),
         {"prompt_tokens_details.cached_tokens": "U3"}),
        ({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7,
          "prompt_tokens_details": {"text_tokens": 1, "image_tokens": 1, "audio_tokens": 1}}, (5, 2, 7),
         {f"prompt_tokens_details.{kind}_tokens": "U3" for kind in ("text", "image", "audio")}),
        ({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7,
          "completion_tokens_details": {"reasoning_tokens": None}}, (5, 2, 7),
         {"completion_tokens_details.reasoning_tokens": "U1"}),
    ],
)  # fmt: skip
def test_usage(given: Json, restored: tuple[int, int, int], fixes: dict[str, str]) -> None:
    """Counts are whole numbers that add up, and no part exceeds its whole."""
    answer, noted = mend(create_answer(usage=given))
    usage = answer["usage"]
    counts = (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"])
    assert counts == restored
    assert noted == [(rule, f"usage.{path}") for path, rule in fixes.items()]


@pytest.mark.parametrize(
    "usage", [None, [], {}, {"prompt_tokens": 5}, {"prompt_tokens": -1, "completion_tokens": 2}]
)
def test_usage_that_counts_nothing(usage: Any) -> None:
    """A usage without counts is removed."""
    answer, fixes = mend(create_answer(usage=usage))
    assert "usage" not in answer
    assert fixes[-1] == ("U1", "usage")


@pytest.mark.parametrize(
    ("members", "fixes"),
    [
        ({"id": 42}, [("E2", "id")]),
        ({"id": ...}, [("E5", "id")]),
        ({"object": "completion"}, [("E1", "object")]),
        ({"created": 161309}, [("E3", "created")]),
        ({"created": "1746709563"}, [("E3", "created")]),
        ({"created": "inf"}, [("E3", "created")]),
        ({"created": 1_746_709_563_492_141_000}, [("E3", "created")]),
        ({"model": ""}, [("E4", "model")]),
        ({"system_fingerprint": 7}, [("E7", "system_fingerprint")]),
        ({"system_fingerprint": {"hash": "fp"}}, [("E7", "system_fingerprint")]),
    ],
)
def test_what_an_answer_says_of_itself(members: Json, fixes: list[tuple[str, str]]) -> None:
    """The id, time and model are mended to their types."""
    answer, noted = mend(create_answer(**members))
    assert noted == fixes
    assert "system_fingerprint" not in answer
    if members.get("created") in ("1746709563", 1_746_709_563_492_141_000):
        assert answer["created"] == 1_746_709_563


def test_indices() -> None:
    """Choices with wrong indices are numbered by their places."""
    asked = Asked(completion_id="o", model="m", choices=2)
    came = create_answer()
    came["choices"] = [came["choices"][0] | {"index": 1}, came["choices"][0] | {"index": 7}]
    answer, fixes = mend(came, asked=asked)
    assert [choice["index"] for choice in answer["choices"]] == [0, 1]
    assert fixes == [("C2", "choices[0].index"), ("C2", "choices[1].index")]
    with pytest.raises(NotConforming, match="were requested"):
        mend(came)


def test_a_turn_in_two_choices() -> None:
    """If one choice was requested, text in one and calls in another are joined."""
    came = create_answer(choice={"finish_reason": "stop"})
    came["choices"] += calling(CALL)["choices"]
    answer, fixes = mend(came)
    [choice] = answer["choices"]
    assert choice["message"]["content"] == "Hello"
    assert choice["message"]["tool_calls"] == [CALL]
    assert choice["finish_reason"] == "tool_calls"
    assert fixes == [("C1", "choices")]


def test_logprobs_that_nobody_asked_for() -> None:
    """Unrequested logprobs become null. The record has what came."""
    came = spelling("a", ("a", [97]))
    answer, fixes = mend(came)
    assert answer["choices"][0]["logprobs"] is None
    assert fixes == [("L1", "choices[0].logprobs")]
    assert mend(came, asked=WITH_LOGPROBS)[1] == []


@pytest.mark.parametrize("logprob", [-9999.0, -3.4028235e38, -100, 0])
def test_very_unlikely_tokens(logprob: float) -> None:
    """The number that servers write for an impossible token is kept."""
    came = spelling("a", ("a", [97]))
    came["choices"][0]["logprobs"]["content"][0]["logprob"] = logprob
    assert mend(came, asked=WITH_LOGPROBS) == (came, [])


BROKEN = [239, 191, 189]


@pytest.mark.parametrize(
    ("content", "tokens", "restored", "rule"),
    [
        # One way only: U+FFFD is a cut character of 1 to 3 bytes, or a byte that begins none.
        ("é!", [("\ufffd", BROKEN), ("\ufffd", BROKEN), ("!", [33])], [[195], [169], [33]], "L6"),
        (" 😊", [(" \ufffd", [32, *BROKEN]), ("\ufffd", BROKEN)], [[32, 240, 159, 152], [138]], "L6"),
        ("Hi", [("H", [988374]), ("i", [105])], [[72], [105]], "L4"),
        ("é", [("\\xc3", None), ("\ufffd", None)], [None, [169]], "L4"),
        # The text has the character itself, so nothing is broken.
        ("\ufffd", [("\ufffd", BROKEN)], [BROKEN], None),
        # llama.cpp cuts the text and keeps the bytes.
        ("😊", [("", [240, 159]), ("", [152, 138])], [[240, 159], [152, 138]], None),
        # One way only where a character that is whole cannot be U+FFFD: no way at all.
        ("a😊b", [("a", [97]), ("\ufffd", BROKEN), ("b", [98])], None, None),
        # The text is not theirs, so what is no byte is null.
        ("x", [("H", [72]), ("i", [300])], [[72], None], "L4"),
    ],
)  # fmt: skip
def test_bytes_of_tokens(
    content: str, tokens: list[Any], restored: list[Any] | None, rule: str | None
) -> None:
    """Wrong bytes are taken from the text, if there is only one way."""
    conformed = conform_response(
        json.dumps(spelling(content, *tokens)).encode(), asked=WITH_LOGPROBS
    )
    held = json.loads(conformed.body)["choices"][0]["logprobs"]["content"]
    assert [one["bytes"] for one in held] == (restored or [given for _, given in tokens])
    path = "choices[0].logprobs.content[*].bytes"
    assert [(fix.rule, fix.path) for fix in conformed.fixes] == ([(rule, path)] if rule else [])


def test_numbers_that_are_no_json() -> None:
    """-Infinity becomes -9999, as in the specification. NaN is removed."""
    came = spelling("a", ("a", [97]))
    [token] = came["choices"][0]["logprobs"]["content"]
    token["logprob"] = float("nan")
    answer, fixes = mend(came, asked=WITH_LOGPROBS)
    assert answer["choices"][0]["logprobs"] is None
    assert fixes == [("L3", "choices[0].logprobs")]
    with pytest.raises(NotConforming, match="not JSON"):
        mend(create_answer(temperature=float("nan")))


def test_a_byte_order_mark() -> None:
    """A byte order mark before an answer is removed. Within the answer it is text."""
    body = json.dumps(
        create_answer(message={"content": "\ufeffHello"}), ensure_ascii=False
    ).encode()
    conformed = conform_response(b"\xef\xbb\xbf" + body, asked=ASKED)
    assert json.loads(conformed.body) == json.loads(body)
    assert [(fix.rule, fix.path) for fix in conformed.fixes] == [("J1", "body")]
    assert conform_response(body, asked=ASKED).fixes == []


def test_tokens_without_their_members() -> None:
    """Missing bytes become null, and missing alternatives an empty list."""
    came = spelling("a", ("a", [97]))
    came["choices"][0]["logprobs"] = {"content": [{"token": "a", "logprob": -0.1}]}
    answer, fixes = mend(came, asked=WITH_LOGPROBS)
    [token] = answer["choices"][0]["logprobs"]["content"]
    assert token == {"token": "a", "logprob": -0.1, "bytes": None, "top_logprobs": []}
    path = "choices[0].logprobs"
    assert fixes == [
        ("E5", f"{path}.content[*].bytes"),
        ("E5", f"{path}.content[*].top_logprobs"),
        ("L2", f"{path}.refusal"),
    ]


def test_what_is_unknown_is_kept() -> None:
    """Unknown members are kept when other members are mended."""
    came = create_answer(
        id="",
        timings={"a": 1},
        message={"reasoning": "hm", "refusal": ...},
        choice={"stop_reason": 7},
    )
    answer, _ = mend(came)
    assert answer["timings"] == {"a": 1}
    assert answer["choices"][0]["stop_reason"] == 7
    assert answer["choices"][0]["message"]["reasoning"] == "hm"


def test_calls_of_nothing() -> None:
    """A tool call without its function or tool is refused, whatever its type."""
    for kind in ("function", "custom"):
        with pytest.raises(NotConforming):
            mend(calling({"id": "call_1", "type": kind}))
