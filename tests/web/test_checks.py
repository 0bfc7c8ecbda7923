"""Rules that an answer broke, as the page lists them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from briggs.types import json
from briggs.types.completions import Completion, Fix
from briggs.web.checks import CHECKED_BYTES_MAX, ROWS_MAX, list_broken_rules
from tests.processes import create_response


def create(**members: Any) -> Completion:
    return Completion(organization_id="o", status="finished", **members)


def test_a_mended_value_has_both_sides() -> None:
    """What came is beside what the caller got, with the rule's sentence."""
    came = create_response()
    came["choices"][0]["finish_reason"] = "end_turn"
    completion = create(
        fixes=[Fix("C3", "choices[0].finish_reason")],
        violates=["C3"],
        received=json.encode(came),
        response=json.encode(create_response()),
    )
    [row], count = list_broken_rules(completion)
    assert (row.state, row.came, row.got, count) == ("mended", '"end_turn"', '"stop"', 1)
    assert "<code>finish_reason</code>" in row.title


def test_a_mended_number_has_both_sides() -> None:
    """1.0 and 1 are equal, and yet it is said what came and what the caller got."""
    completion = create(
        fixes=[Fix("E3", "created")],
        violates=["E3"],
        received=json.encode(create_response() | {"created": 1764425527.0}),
        response=json.encode(create_response() | {"created": 1764425527}),
    )
    [row], _ = list_broken_rules(completion)
    assert (row.came, row.got) == ("1764425527.0", "1764425527")


def test_what_was_left_has_its_place() -> None:
    """A rule that nothing mends is found again in the answer, with what is wrong."""
    answer = create_response()
    answer["usage"]["total_tokens"] += 1
    [row], _ = list_broken_rules(create(violates=["U2"], response=json.encode(answer)))
    assert row.state == "left" and "total_tokens" in row.path and row.note


def test_large_answers_are_not_checked_again() -> None:
    """The rule is named without its place, and nothing takes long."""
    large = create_response("x" * CHECKED_BYTES_MAX)
    completion = create(
        violates=["U2"],
        fixes=[Fix("C3", "choices[0].finish_reason")],
        response=json.encode(large),
        received=json.encode(large),
    )
    mended, left = list_broken_rules(completion)[0]
    assert (mended.came, mended.got, left.path) == (None, None, "")


def test_many_places_are_counted() -> None:
    """A page shows a bounded number of places, and says how many there are."""
    fixes = [Fix("L5", f"choices[0].logprobs.content[{n}].bytes") for n in range(500)]
    rows, count = list_broken_rules(create(fixes=fixes, response=b"{}", received=b"{}"))
    assert (len(rows), count) == (ROWS_MAX, 500)


def test_a_rule_of_another_version_is_named() -> None:
    """A rule that is not in this book is not an error."""
    [row], _ = list_broken_rules(create(violates=["Z9"], response=b"{}"))
    assert "Z9" in row.title


@given(st.binary(max_size=60), st.text(max_size=20))
def test_any_record_can_be_listed(body: bytes, path: str) -> None:
    """Bytes that are no JSON, and any path, are no error."""
    list_broken_rules(
        create(fixes=[Fix("C3", path)], violates=["U2"], received=body, response=body, request=body)
    )
