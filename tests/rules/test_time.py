"""The rules take time in proportion to what they are given, whatever it holds."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from briggs.rules import Finding, check_request, check_response, check_stream
from briggs.rules.book import FINDINGS_MAX
from briggs.types.json import encode

MANY = 40_000
# Each took from 20 s to minutes while it looked at every pair.
ENOUGH_S = 10

CALLS = [
    {"id": f"call_{place}", "type": "function", "function": {"name": f"f{place}", "arguments": ""}}
    for place in range(MANY)
]
MESSAGE = {"role": "assistant", "content": None, "refusal": None, "tool_calls": CALLS}
ANSWERS = [{"role": "tool", "tool_call_id": each["id"], "content": "x"} for each in CALLS[::-1]]
RESPONSE = encode({"choices": [{"message": MESSAGE, "finish_reason": "tool_calls"}]})
TOOLS = [{"type": "function", "function": {"name": f"f{place}"}} for place in range(MANY)]

CHECKS: dict[str, Callable[[], list[Finding]]] = {
    "members of one name": lambda: check_response(b"{" + b'"a":1,' * 100_000 + b'"b":1}'),
    "ids of calls": lambda: check_response(RESPONSE),
    "names of tools": lambda: check_response(RESPONSE, request=encode({"tools": TOOLS})),
    "answers to calls": lambda: check_request(encode({"messages": [MESSAGE, *ANSWERS]})),
    "choices": lambda: check_response(b'{"choices":[' + b"{}," * 300_000 + b"{}]}"),
}


@pytest.mark.parametrize("name", CHECKS)
def test_time(name: str) -> None:
    """No rule compares each part with every other."""
    began = time.process_time()
    CHECKS[name]()
    assert time.process_time() - began < ENOUGH_S


def test_a_rule_that_every_chunk_breaks() -> None:
    """A rule has at most as many findings in a whole stream as in one chunk."""
    found = check_stream(b'data: {"choices": [{"index": 0}]}\n\n' * 1_000)
    rules = [finding.rule for finding in found]
    assert max(rules.count(rule) for rule in set(rules)) == FINDINGS_MAX


def test_calls_are_answered_in_any_order() -> None:
    """Each call has one answer, and ids of any kind are told apart."""
    call, other = ({"id": id} for id in ("a", 1))
    answers = [{"role": "tool", "tool_call_id": id} for id in (1, "a", "1")]
    found = check_request(encode({"messages": [{"tool_calls": [call, other, call]}, *answers]}))
    said = [(finding.rule, finding.path, finding.message) for finding in found]
    assert said == [
        ("R3", "messages[3].tool_call_id", "It does not answer an open call."),
        ("R3", "messages[0].tool_calls", "No tool message answers it."),
    ]
