"""The payloads of `tests/cases` break the rules that they are said to break, and no others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from briggs.rules import RULES, Finding, check_error, check_response, check_stream
from tests.processes import list_cases, load_case, read_piece

# What a case breaks and does not say, since it is about something else.
UNSAID = {
    # Its usage counts two tokens, and three have log probabilities.
    "n01-logprobs-split-utf8-escaped": {"L12"},
    # Groq's deltas have empty tool_calls.
    "s05-x-groq-usage": {"M5"},
}


def check(case: dict[str, Any]) -> list[Finding]:
    """What is found of a case, by the check for its kind."""
    request = json.dumps(case["request"]).encode()
    http, wire = case["http"], case["wire"]
    content_type = http["headers"].get("content-type")
    if wire["kind"] == "sse":
        received = b"".join(read_piece(piece) for piece in wire["chunks"])
        return check_stream(received, request=request, content_type=content_type)
    body = wire["text"].encode() if wire["kind"] == "text" else json.dumps(wire["body"]).encode()
    if http["status"] != 200:
        return check_error(body, status=http["status"], content_type=content_type)
    return check_response(body, request=request)


@pytest.mark.parametrize("id", list_cases())
def test_a_case_breaks_what_it_says(id: str) -> None:
    """Errors and warnings are those of the case, whose infos are found too."""
    case = load_case(id)
    expect = case["expect"]
    found = check(case)
    said = {*expect.get("violates", ()), *expect.get("warn", ())}
    assert said <= {finding.rule for finding in found}
    worse = {finding.rule for finding in found if finding.severity != "info"}
    assert worse - said == UNSAID.get(id, set())
    assert expect["ok"] == ("error" not in {finding.severity for finding in found})


@pytest.mark.parametrize("id", list_cases())
def test_findings_are_of_the_book(id: str) -> None:
    """Nothing that is found is worse than the book says of its rule."""
    order = ("info", "warning", "error")
    for finding in check(load_case(id)):
        assert order.index(finding.severity) <= order.index(RULES[finding.rule].severity)
