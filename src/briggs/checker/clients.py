"""Which clients break on what, as measured.

Each plant of `tests/checker/plants.py`, and some relatives, was answered to openai-python 3.54 and
3.57, openai-node 7.57, LangChain (langchain-openai 1.7.4), LangChain.js, Pydantic AI 2.68,
Instructor 1.17, LiteLLM 1.110 and the AI SDK. The official clients of the other APIs
were tried with `tests/rules/test_apis.py`. What did not change their result is not listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from briggs.checker import expectations
from briggs.rules import Finding

OPENAI, STRICT, NODE = "openai-python", "openai-python (strict validation)", "openai-node"
LANGCHAIN, LANGCHAIN_JS = "LangChain", "LangChain.js"
PYDANTIC, INSTRUCTOR, LITELLM, AI_SDK = "Pydantic AI", "Instructor", "LiteLLM", "AI SDK"
MESSAGES, MESSAGES_STRICT = "anthropic-python", "anthropic-python (strict validation)"
EVERY = "every client"
"""Findings about something that is not an answer, or an answer without its end."""


class Breakage(NamedTuple):
    """What clients do with one kind of finding."""

    rule: str
    clients: Mapping[str, str]
    """What each does, as a verb phrase."""
    path: str = ""
    """How the path ends; empty for any path."""
    says: str = ""
    """What the message contains."""
    excerpts: tuple[str, ...] = ()
    """The values that break the client; empty for any value."""
    harmless: tuple[str, ...] = ()
    """The values that do not break the client."""


_RAISES = "raises an error"
_STRICT = {STRICT: _RAISES}
_MESSAGES_STRICT = {MESSAGES_STRICT: _RAISES}
_VALIDATES = {PYDANTIC: _RAISES, **_STRICT}
_STREAM_HELPER = {OPENAI: "raises an error in `.stream()`"}
_LOSES_USAGE = "reports no usage"
_ADDS_USAGE = "adds the counts up, and reports several times too many tokens"
_NO_CALLS = "reports tool calls that do not exist"
_MERGES = "merges the calls into one, with arguments that cannot be read"

BREAKAGES = (
    Breakage("J1", {NODE: _RAISES, LANGCHAIN_JS: _RAISES, AI_SDK: _RAISES}),
    Breakage("E1", {OPENAI: "raises an error in `.stream()`", **_VALIDATES}),
    Breakage("E2", _VALIDATES, harmless=('""',)),
    Breakage(
        "E3", {AI_SDK: "raises an error if it is a string", **_VALIDATES}, says="whole number"
    ),
    Breakage("E4", _VALIDATES, path="model", says="non-empty", harmless=('""',)),
    Breakage("E5", {EVERY: _RAISES}, path="choices"),
    Breakage(
        "E5",
        {
            OPENAI: "raises an error in `.stream()`",
            NODE: "raises an error in `.stream()`",
            AI_SDK: "raises an error",
            **_VALIDATES,
        },
        path="index",
    ),
    Breakage(
        "E5",
        {LANGCHAIN: _RAISES, LANGCHAIN_JS: "loses the tool calls", **_VALIDATES},
        path="role",
    ),
    Breakage("E5", {EVERY: _RAISES}, path="message"),
    Breakage("E5", {OPENAI: "raises an error in `.stream()`", **_STRICT}, path="object"),
    Breakage("E5", _VALIDATES, path="id"),
    Breakage("E5", _VALIDATES, path="model"),
    Breakage("E5", _STRICT, path="created"),
    Breakage("E5", {AI_SDK: "reports the finish reason 'other'", **_STRICT}, path="finish_reason"),
    Breakage("E6", _STRICT, says="does not know"),
    Breakage("C1", {EVERY: _RAISES}, says="no choices"),
    Breakage("C1", {EVERY: "gets fewer choices than it asked for"}),
    Breakage(
        "C3",
        {
            PYDANTIC: "raises an error if it is empty",
            LITELLM: "raises an error in a stream if it is empty or 'error', or reports 'stop'",
            NODE: "raises an error in `.stream()` if it is empty",
            AI_SDK: "reports the finish reason 'other'",
            STRICT: _RAISES,
        },
    ),
    Breakage(
        "C4", {AI_SDK: _NO_CALLS, PYDANTIC: _NO_CALLS, LANGCHAIN: _NO_CALLS}, says="does not call"
    ),
    Breakage("C4", {"agents that wait for finish_reason 'tool_calls'": "ignore the calls"}),
    Breakage(
        "C5",
        {
            LANGCHAIN: "raises an error for structured output",
            INSTRUCTOR: "raises an error",
        },
    ),
    Breakage("C6", {AI_SDK: _NO_CALLS, PYDANTIC: _NO_CALLS}),
    Breakage(
        "M1",
        {
            LANGCHAIN: _RAISES,
            LANGCHAIN_JS: "loses the tool calls",
            AI_SDK: _RAISES,
            **_VALIDATES,
        },
    ),
    Breakage(
        "M2",
        {
            AI_SDK: _RAISES,
            LITELLM: _RAISES,
            LANGCHAIN: "raises an error if there are tool calls",
            LANGCHAIN_JS: "loses streamed text",
            NODE: "joins streamed text to `[object Object]`",
            INSTRUCTOR: _RAISES,
            **_STRICT,
        },
    ),
    Breakage("M3", {PYDANTIC: _RAISES}),
    Breakage(
        "M6",
        {AI_SDK: "runs one of the two calls twice, and the other never"},
        says="Another call",
    ),
    Breakage(
        "M6",
        {
            LITELLM: "loses streamed calls",
            LANGCHAIN_JS: "loses streamed calls",
            **_VALIDATES,
        },
        path="id",
        harmless=('""',),
    ),
    Breakage(
        "M6",
        {NODE: "raises an error in `.stream()`", AI_SDK: _RAISES, **_VALIDATES},
        path="type",
    ),
    Breakage(
        "M7",
        {
            LANGCHAIN: _RAISES,
            LANGCHAIN_JS: "marks the call as invalid",
            AI_SDK: _RAISES,
            **_VALIDATES,
        },
        says="not a string",
    ),
    Breakage(
        "M7",
        {
            LANGCHAIN: "marks the call as invalid",
            LANGCHAIN_JS: "marks the call as invalid",
            AI_SDK: "marks the call as invalid",
            INSTRUCTOR: _RAISES,
        },
    ),
    Breakage("M8", {AI_SDK: "marks the call as invalid"}, says="does not allow"),
    Breakage("M9", {"agents that run one call at a time": "leave the other calls unanswered"}),
    Breakage(
        "M10",
        {
            LANGCHAIN: "finds no structured output",
            INSTRUCTOR: _RAISES,
            PYDANTIC: "asks again, then raises an error",
        },
        says="requires a call",
    ),
    Breakage("M10", {"agents that forbid tools": "get a call instead of an answer"}),
    Breakage(
        "M11",
        {
            LANGCHAIN: "raises an error for structured output",
            INSTRUCTOR: _RAISES,
            PYDANTIC: "asks again, then raises an error",
        },
    ),
    Breakage("L1", {"programs that read logprobs": "find none"}, says="asked for them."),
    Breakage("L4", _STRICT),
    Breakage("U1", {LITELLM: _RAISES, **_VALIDATES}, says="whole number"),
    Breakage("U1", _VALIDATES, path="_tokens", says="missing"),
    Breakage(
        "U1",
        {LANGCHAIN: _LOSES_USAGE, AI_SDK: _LOSES_USAGE, PYDANTIC: _LOSES_USAGE},
        path="usage",
    ),
    Breakage(
        "U2",
        {OPENAI: "reports the wrong total", LANGCHAIN: "reports the wrong total"},
    ),
    Breakage("U6", {LANGCHAIN: _ADDS_USAGE, PYDANTIC: _ADDS_USAGE}),
    Breakage(
        "U7",
        {
            LANGCHAIN: "reports no cached tokens, so costs seem too high",
            PYDANTIC: "reports no cached tokens, so costs seem too high",
        },
    ),
    Breakage(
        "S2",
        {
            OPENAI: _RAISES,
            NODE: "raises an error, except for `retry`",
            LANGCHAIN: _RAISES,
            LANGCHAIN_JS: "raises an error, except for `retry`",
            PYDANTIC: _RAISES,
            LITELLM: _RAISES,
        },
        says="without data",
    ),
    Breakage("S3", {AI_SDK: _RAISES}, says="after [DONE]"),
    Breakage("S3", {EVERY: "loses the last event"}, says="after the last event"),
    Breakage(
        "S5",
        {NODE: "raises an error in `.stream()`", LANGCHAIN_JS: "loses the tool calls"},
        says="lacks the role",
    ),
    Breakage(
        "S5",
        {AI_SDK: _RAISES, LANGCHAIN_JS: "loses the tool calls", **_STRICT},
        excerpts=('""',),
    ),
    Breakage(
        "S6",
        {
            NODE: "raises an error in `.stream()`",
            AI_SDK: _RAISES,
            LITELLM: _RAISES,
            LANGCHAIN: "reports no finish reason",
        },
        says="has no finish_reason",
    ),
    Breakage(
        "S8",
        {LANGCHAIN: _ADDS_USAGE, PYDANTIC: _ADDS_USAGE},
        says="Another usage",
    ),
    Breakage(
        "S8",
        {
            LANGCHAIN: _LOSES_USAGE,
            AI_SDK: _LOSES_USAGE,
            PYDANTIC: _LOSES_USAGE,
            LITELLM: "estimates the usage",
        },
        says="none came",
    ),
    Breakage(
        "S8",
        {OPENAI: "loses the usage in `.stream()`", NODE: "loses the usage in `.stream()`"},
        says="not in a last chunk",
    ),
    Breakage(
        "S10",
        {
            OPENAI: _MERGES,
            NODE: _MERGES,
            LANGCHAIN: _MERGES,
            LANGCHAIN_JS: _MERGES,
            LITELLM: _MERGES,
            AI_SDK: _MERGES,
        },
        path="index",
    ),
    Breakage(
        "S10",
        {OPENAI: "joins the names in `.stream()`", LANGCHAIN: "joins the names"},
        path="name",
        says="already begun",
    ),
    Breakage(
        "S11",
        {OPENAI: "raises an error in `.stream()`", AI_SDK: "marks the call as invalid"},
    ),
    Breakage(
        "S13",
        {OPENAI: "has no delta to read", NODE: "has no delta to read", **_STRICT},
    ),
    Breakage("S14", {EVERY: "raises an error in the middle of the stream"}),
    Breakage("S17", _STRICT),
    Breakage(
        "H2",
        {
            OPENAI: "shows the status without the message",
            LANGCHAIN: "shows the status without the message",
        },
        path="error",
    ),
    Breakage(expectations.PROBE, {EVERY: _RAISES}, says=expectations.UNANSWERED),
    Breakage(expectations.PROBE, {EVERY: _RAISES}, says=expectations.BROKEN_OFF),
    Breakage(expectations.PROBE, {EVERY: "reads on and on"}, says=expectations.TOO_LARGE),
    Breakage(
        expectations.PROBE,
        {
            OPENAI: "retries twice, then raises an error",
            NODE: "retries twice, then raises an error",
        },
        says=expectations.FAILED,
    ),
    Breakage(
        expectations.PROBE,
        {LANGCHAIN: "sends the wrong request for structured output", INSTRUCTOR: _RAISES},
        says=expectations.NOT_NAMED,
    ),
    Breakage(
        expectations.PROBE,
        {LANGCHAIN: "sends max_completion_tokens, so its limit fails or is ignored"},
        says=expectations.NO_LIMIT,
    ),
    Breakage(
        expectations.PROBE,
        {"programs that limit tokens": "pay for more than they asked for"},
        says=expectations.NOT_CUT,
    ),
    Breakage("P1", _STRICT, path="object"),
    *(
        Breakage("P2", _STRICT, path=name)
        for name in ("model", "output", "parallel_tool_calls", "tool_choice", "tools")
    ),
    Breakage("P2", _STRICT, path="created_at"),
    Breakage("P3", _STRICT, says="not a number"),
    Breakage("P4", _STRICT, path="status", says="not a known status"),
    Breakage("P5", _STRICT, says="not an object"),
    Breakage("P5", _STRICT, says="not a non-empty string", harmless=('""',)),
    Breakage("P6", _STRICT),
    *(Breakage("P7", _STRICT, path=name) for name in ("call_id", "name")),
    Breakage("P7", _STRICT, says="not a string"),
    Breakage("P8", _STRICT),
    Breakage("P9", _STRICT, says="whole number"),
    Breakage("A1", _MESSAGES_STRICT, harmless=('""',)),
    Breakage("A2", {"agents that send the answer back": "are refused"}, says="empty"),
    Breakage("A2", _MESSAGES_STRICT),
    Breakage("A3", _MESSAGES_STRICT, says="not a non-empty string", harmless=('""',)),
    Breakage("A3", _MESSAGES_STRICT, says="not an object"),
    Breakage("A4", _MESSAGES_STRICT, says="not a known reason", harmless=("", "null")),
    Breakage("A5", _MESSAGES_STRICT, path="usage"),
    *(
        Breakage("A5", _MESSAGES_STRICT, path=f"usage.{name}", excerpts=("", "null"))
        for name in ("input_tokens", "output_tokens")
    ),
    Breakage("A20", {MESSAGES: "loses the events"}, says="event"),
    Breakage("V1", _STRICT, harmless=('""',)),
    Breakage("V2", _STRICT, path="index", excerpts=("", "null")),
    Breakage("V3", _STRICT, says="not a list", harmless=("[]",)),
    Breakage("V4", _STRICT),
    Breakage("T1", _STRICT, harmless=('""',)),
    Breakage("T2", _STRICT, says="not a list"),
    Breakage("T2", _STRICT, says="not a string"),
    Breakage("T2", _STRICT, path="index", excerpts=("", "null")),
    Breakage("T3", _STRICT),
    Breakage("T4", _STRICT, says="neither"),
    Breakage("T5", _STRICT, says="whole number"),
    Breakage("O1", _STRICT, says="not a non-empty string", harmless=('""',)),
    Breakage("O1", _STRICT, says="not a list"),
    Breakage("O1", _STRICT, says="not an object"),
    Breakage("O2", _STRICT, path="flagged", excerpts=("", "null")),
    Breakage("O2", _STRICT, says="not an object"),
    Breakage("O2", _STRICT, says="It is missing"),
    Breakage("P22", _STREAM_HELPER, says="not response.created"),
    Breakage("P22", _STREAM_HELPER, says="no end"),
    Breakage("P23", _STREAM_HELPER, says="never added"),
)
"""The first entry that matches a finding applies."""


def find_clients(finding: Finding) -> Mapping[str, str]:
    """The clients that a finding breaks, and how; none if it is cosmetic."""
    return next((each.clients for each in BREAKAGES if _fits(each, finding)), {})


def _fits(breakage: Breakage, finding: Finding) -> bool:
    return (
        finding.rule == breakage.rule
        and finding.path.endswith(breakage.path)
        and breakage.says in finding.message
        and (not breakage.excerpts or finding.excerpt in breakage.excerpts)
        and finding.excerpt not in breakage.harmless
    )
