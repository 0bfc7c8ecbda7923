"""Every rule is broken by what breaks it, and kept by what comes close."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import briggs.conform
from briggs.rules import (
    RULES,
    Finding,
    check_error,
    check_request,
    check_response,
    check_stream,
)
from tests.rules import examples
from tests.rules.examples import Example, edit, encode_events

Examples = dict[str, tuple[Example, Example]]
Check = Callable[[Example], list[Finding]]


def check_edited_response(example: Example) -> list[Finding]:
    response = json.dumps(edit(examples.RESPONSE, example.edits)).encode()
    return check_response(response, request=encode_request(example))


def check_edited_stream(example: Example) -> list[Finding]:
    chunks = edit(examples.CHUNKS, example.edits)
    request = encode_request(example, **examples.WITH_USAGE)
    return check_stream(encode_events(chunks), request=request)


def check_edited_request(example: Example) -> list[Finding]:
    return check_request(encode_request(example))


def check_edited_error(example: Example) -> list[Finding]:
    return check_error(json.dumps(edit(examples.ERROR, example.edits)).encode(), status=404)


def encode_request(example: Example, **members: object) -> bytes:
    return json.dumps(edit({**examples.REQUEST, **members}, example.request)).encode()


TABLES: list[tuple[Examples, Check]] = [
    (examples.RESPONSES, check_edited_response),
    (examples.STREAMS, check_edited_stream),
    (examples.REQUESTS, check_edited_request),
    (examples.ERRORS, check_edited_error),
]
EXAMPLES = [
    pytest.param(id, broken, kept, check, id=id)
    for table, check in TABLES
    for id, (broken, kept) in table.items()
]


@pytest.mark.parametrize(("id", "broken", "kept", "check"), EXAMPLES)
def test_each_rule(id: str, broken: Example, kept: Example, check: Check) -> None:
    """An example breaks its rule, as severely as the book says; a near miss keeps it."""
    found = [finding for finding in check(broken) if finding.rule == id]
    assert found, "the example breaks nothing"
    assert RULES[id].severity in {finding.severity for finding in found} or id == "E4"
    assert id not in {finding.rule for finding in check(kept)}


# These are about bytes: rule, what breaks it, what keeps it.
GOOD_STREAM = encode_events(examples.CHUNKS)
BYTES = {
    "J1": (b'{"id": NaN}', b'{"id": 1e3}'),
    "J2": (b'{"a": {"b": 1, "b": 2}}', b'{"a": {"b": 1}, "b": 2}'),
    "S2": (b"retry: 100\n" + GOOD_STREAM, b": ping\n\n" + GOOD_STREAM),
    "S3": (GOOD_STREAM.removesuffix(b"\n"), GOOD_STREAM.replace(b"data: [", b"data:[")),
}


@pytest.mark.parametrize("id", BYTES)
def test_each_rule_of_bytes(id: str) -> None:
    """So do bytes that no edit of JSON makes."""
    check = check_stream if id.startswith("S") else check_response
    broken, kept = BYTES[id]
    assert id in {finding.rule for finding in check(broken)}
    assert id not in {finding.rule for finding in check(kept)}


def test_a_field_may_report_a_failure() -> None:
    """An `error:` line is a failure, after which no end is expected, and no line of data."""
    failed = GOOD_STREAM[: GOOD_STREAM.index(b"data: [")] + b'error: {"code": 500}\n\n'
    assert {finding.rule for finding in check_stream(failed)} == {"S2", "S14"}


def test_the_content_type_of_a_stream() -> None:
    """S1 is about a header, whose parameters do not matter."""
    html = check_stream(GOOD_STREAM, content_type="text/html")
    assert [finding.rule for finding in html] == ["S1"]
    assert check_stream(GOOD_STREAM, content_type="text/event-stream; charset=utf-8") == []


def test_the_content_type_of_an_error() -> None:
    """H1 is about a header too."""
    body = json.dumps(examples.ERROR).encode()
    assert [finding.rule for finding in check_error(body, status=500, content_type="text/html")]
    assert check_error(body, status=500, content_type="application/json; charset=utf-8") == []


def test_every_rule_has_examples() -> None:
    """No rule of the book is without one."""
    tested = [id for table, _ in TABLES for id in table]
    # Those of other APIs have theirs in test_model_response.py and test_apis.py.
    assert sorted([*tested, *BYTES, "S1"]) == sorted(id for id in RULES if id[0] not in "PAVTO")


def test_what_is_right_breaks_nothing() -> None:
    """What all examples are edits of keeps every rule."""
    for check in (check_edited_response, check_edited_stream, check_edited_error):
        assert check(Example({})) == []
    assert check_edited_request(Example({})) == []


def test_what_a_reader_cut_short_has_no_end() -> None:
    """Where a stream could not end, the rules about its end do not apply; the others do."""
    begun = encode_events([*examples.CHUNKS[:1], {**examples.CHUNKS[1], "created": 1}])
    cut = begun.removesuffix(b"data: [DONE]\n\n")
    assert {finding.rule for finding in check_stream(cut, whole=False)} == {"S4"}
    assert {"S3", "S6"} <= {finding.rule for finding in check_stream(cut)}


def test_a_finding_shows_what_it_is_about() -> None:
    """A finding has the path and the value that stands there."""
    [finding] = check_edited_response(Example({f"{examples.M}.role": "model"}))
    assert finding.path == "choices[0].message.role"
    assert finding.excerpt == '"model"'
    [finding] = check_edited_stream(Example({"[1].created": 1790000001}))
    assert finding.path == "chunks[1].created"


def test_whatever_is_mended_says_so() -> None:
    """A rule that an answer is mended by has a sentence on that in the book."""
    folder = Path(briggs.conform.__file__).parent
    sources = [path.read_text() for path in folder.glob("*.py")]
    mended = {id for source in sources for id in re.findall(r'"([A-Z]\d+)"', source)}
    assert mended
    assert [id for id in sorted(mended) if not RULES[id].fix] == []


def test_the_book_is_in_order() -> None:
    """The book has 116 rules, group by group, and each says what it rests on."""
    groups = [id[0] for id in RULES]
    assert len(RULES) == 116
    assert groups == sorted(groups, key="JECMLUSRHPAVTO".index)
    for id, rule in RULES.items():
        assert rule.id == id
        assert rule.title.endswith(".")
        assert rule.basis


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "f"}}])
def test_a_forced_call_that_was_not_made(choice: object) -> None:
    """A tool that is named has to be called, as any has to be where one is required."""
    found = check_edited_response(Example({}, {**examples.TOOLS, "tool_choice": choice}))
    assert "M10" in {finding.rule for finding in found}
