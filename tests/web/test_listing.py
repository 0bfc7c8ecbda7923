"""The list as its address asks for it: the query that facets write, marks, bars and exports."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.storage import Bin, Summary
from briggs.types.completion_filters import VOCABULARY, parse_completion_filter
from briggs.types.completions import Completion
from briggs.types.errors import InvalidRequest
from briggs.types.filters import parse_filter, write_filter
from briggs.web import listing
from briggs.wires.recorded.preview import Preview
from tests.storage.test_filters import FILTERS


@given(FILTERS)
def test_a_written_filter_is_read_as_the_same(text: str) -> None:
    """A filter that is written as text and read again is the same filter."""
    filter = parse_filter(text, of=VOCABULARY)
    assert parse_filter(write_filter(filter, of=VOCABULARY), of=VOCABULARY) == filter


@pytest.mark.parametrize(
    ("before", "field", "value", "after"),
    [
        ("", "tag", "support", "tag = support"),
        ("tag = support", "tag", "support", ""),
        ("tag = support", "tag", "e u", 'tag = support or tag = "e u"'),
        ('p_least < 0.2 "x"', "status", "failed", 'p_least < 0.2 and "x" and status = failed'),
        ("(tag = a or tag = b) and cost > 1", "tag", "a", "cost > 1 and tag = b"),
        ("tag = a or status = failed", "tag", "a", "(tag = a or status = failed) and tag = a"),
        ("", "graded", "none", "graded = none"),
        ("", "model", "none", 'model = "none"'),
    ],
)
def test_facets_write_the_query(before: str, field: str, value: str, after: str) -> None:
    """Choosing a value adds a condition, and choosing it again takes it away."""
    wish = listing.read_wish({"query": before})
    written = listing.toggle(wish.filter, field, value)
    assert written == after
    chosen = listing.list_chosen(wish.filter, field)
    now = listing.list_chosen(parse_completion_filter(written), field)
    assert set(chosen) ^ set(now) == {value}


def test_a_bound_is_replaced() -> None:
    """A facet with bounds has one condition at most."""
    wish = listing.read_wish({"query": "tag = a and p_least < 0.5"})
    assert (
        listing.replace_bound(wish.filter, "p_least", "p_least < 0.1")
        == "tag = a and p_least < 0.1"
    )
    assert listing.replace_bound(wish.filter, "p_least", "") == "tag = a"


def test_a_mistake_keeps_the_list_before() -> None:
    """A query that cannot be read leaves the one before it, and says what was meant."""
    wish = listing.read_wish({"query": "tag = a and modle = x", "before": "tag = b"})
    assert wish.filter == parse_completion_filter("tag = b")
    assert listing.correct(wish) == "tag = a and model = x"
    broken = listing.read_wish({"query": "tag =", "before": "("})
    assert (broken.filter, listing.correct(broken)) == (None, None)
    assert broken.mistake is not None
    assert listing.describe(broken.mistake).startswith("A value should be at position")


def test_an_unknown_order() -> None:
    """An address with an order that does not exist is refused."""
    with pytest.raises(InvalidRequest, match="choose one of time"):
        listing.read_wish({"sort": "size"})


@pytest.mark.parametrize(
    ("text", "words", "marked"),
    [
        ("A <b>Refund</b>", ["refund"], "A &lt;b><mark>Refund</mark>&lt;/b>"),
        ("a.b ab", ["a.b"], "<mark>a.b</mark> ab"),
        ("plain", [], "plain"),
        ("x" * 73, [], "x" * 72 + "…"),
        ("退款" * 40, ["款"], "退<mark>款</mark>" * 12 + "退款" * 6 + "…"),
        ("<" * 40, [], "&lt;" * 19 + "…"),
        ("\"'" * 36, [], "\"'" * 36),
        ("é" * 72, [], "é" * 72),
        ("a\u202eb", [], "a\ufffdb"),
    ],
)
def test_marks(text: str, words: list[str], marked: str) -> None:
    """What was searched for is marked, and nothing that a model wrote is markup."""
    assert listing.mark(text, words) == marked


def test_a_late_word_is_brought_to_the_front() -> None:
    """If a searched word comes late, a row shows the text from shortly before it."""
    asked = "word " * 200 + "refund it"
    request = b'{"messages":[{"role":"user","content":"' + asked.encode() + b'"}]}'
    summary = Summary(
        completion=Completion(organization_id="o", status="finished", request=request),
        preview=Preview(asked=asked[:300], answered="Yes."),
    )
    [row] = listing.list_rows([summary], words=["REFUND"])
    assert "<mark>refund</mark> it" in row.asked
    assert row.asked.startswith("…")
    assert row.answered == "Yes."


@pytest.mark.parametrize(
    ("retry_count", "tries", "said"),
    [(0, 1, ""), (0, 3, "try 1 of 3"), (2, 3, "try 3 of 3"), (2, 1, "retry 2")],
)
def test_a_try_is_one_of_so_many(retry_count: int, tries: int, said: str) -> None:
    """A row says which try of how many it is, as far as the others are known."""
    completion = Completion(organization_id="o", status="failed", retry_count=retry_count)
    summary = Summary(completion=completion, preview=None, tries=tries)
    [row] = listing.list_rows([summary], words=[])
    assert [text for text, _ in row.marks] == ([said] if said else [])


def test_the_bars() -> None:
    """The picture says in words how many there are, and an empty range draws nothing."""
    drawn = listing.draw_bars([Bin(3, 1), Bin(0, 0)])
    assert 'aria-label="3 calls over this time, 1 failed"' in drawn
    assert 'd=""' in listing.draw_bars([Bin()])


@given(st.text())
def test_no_cell_is_a_formula(text: str) -> None:
    """A spreadsheet runs nothing that a caller or a model wrote."""
    completion = Completion(organization_id="o", user=text, failure_reason=text)
    [row] = csv.reader(io.StringIO(listing.write_cells(completion), newline=""))
    assert len(row) == len(listing.EXPORTED)
    for cell in row:
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"))
