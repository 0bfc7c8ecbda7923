"""What a judge answered: values, the probabilities of options, or a reason why not."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from briggs.judges.branches import join_branches, measure_options, read_branches, spell_out
from briggs.judges.places import find_places
from briggs.judges.reading import (
    Unread,
    check_mass,
    list_options,
    list_scored,
    merge,
    read_said,
)
from briggs.types.tokens import Token
from tests.judges.upstream import write_answer, write_torn
from tests.processes import create_response

SCHEMA = {
    "type": "object",
    "required": ["stars"],
    "properties": {
        "stars": {"type": "integer", "minimum": 1, "maximum": 5},
        "tone": {"enum": ["good", "goodish", "bad"]},
        "inner": {"type": "object", "properties": {"safe": {"type": "boolean"}}},
    },
}


def spell(*tokens: tuple[str, dict[str, float]]) -> list[Any]:
    """Tokens, each with the probabilities of what could have come."""
    made = []
    for text, shares in tokens:
        listed = [{"token": each, "logprob": math.log(share)} for each, share in shares.items()]
        own = shares.get(text, 1.0)
        made.append(Token(text, math.log(own), None, json.dumps(listed).encode()))  # type: ignore[arg-type]
    return spell_out("".join(text for text, _ in tokens), made)


@pytest.mark.parametrize(
    ("options", "tokens", "shares", "open"),
    [
        # One token an option, beside one that is none.
        ([1, 2, 3], [("2", {"1": 0.1, "2": 0.6, "3": 0.2, "x": 0.1})], [0.1, 0.6, 0.2], 0),
        # A blank before it, and what follows in the same token.
        ([1, 2], [(" 1}", {" 1}": 0.6, "2,": 0.1, " 2}": 0.2})], [0.6, 0.3], 0),
        # An option that begins like another is told apart by the next token, if only by its end.
        ([1, 10], [("1", {"1": 0.9, "7": 0.1}), ("0", {"0": 0.4, "}": 0.6})], [0.54, 0.36], 0),
        ([1, 10], [("1", {}), ("}", {"0": 0.4, "}": 0.5, "\n": 0.1})], [0.6, 0.4], 0),
        ([1, 2, 10], [("2", {"1": 0.3, "2": 0.7})], [0, 0.7, 0], 0.3),
        # A sign of its own.
        ([-1, 0, 1], [("-", {"-": 0.5, "0": 0.3, "1": 0.2}), ("1", {})], [0.5, 0.3, 0.2], 0),
        (
            [-2, -1, 0],
            [("-", {"-": 0.5, "0": 0.3}), ("1", {"1": 0.4, "2": 0.6})],
            [0.3, 0.2, 0.3],
            0,
        ),
        # What several options could go on with is nobody's, unless the answer went that way.
        ([-2, -1, 0, 1], [("1", {"1": 0.4, "0": 0.3, "-": 0.2})], [0, 0, 0.3, 0.4], 0.2),
        (
            ["good", "goodish", "bad"],
            [('"', {'"': 1.0}), ("bad", {"bad": 0.5, "good": 0.4, 'good"': 0.1}), ('"', {})],
            [0.1, 0.0, 0.5],
            0.4,
        ),
        (
            ["good", "goodish", "bad"],
            [('"good', {'"good': 0.8, '"bad': 0.2}), ("ish", {"ish": 0.1, '"': 0.7, "-": 0.2})],
            [0.56, 0.08, 0.2],
            0,
        ),
        # Blanks within a word belong to it.
        (
            ["very good", "very bad"],
            [('"very', {}), (" bad", {" bad": 0.6, " good": 0.3, "bad": 0.1})],
            [0.3, 0.6],
            0,
        ),
    ],
)
def test_the_probability_of_an_option(
    options: list[Any],
    tokens: list[tuple[str, dict[str, float]]],
    shares: list[float],
    open: float,
) -> None:
    """It is that of the tokens that spell it, from where the value stands."""
    odds = measure_options(options, read_branches(options, spell(*tokens), at=0))
    assert odds.shares == pytest.approx(shares)
    assert odds.open == pytest.approx(open)


def test_options_may_share_a_part_of_a_character() -> None:
    """Tokens are compared by their bytes, so two thumbs are told apart by their last one."""
    thumbs = ["👍", "👎"]
    up, down = (list(each.encode()) for each in thumbs)
    last = [{"token": "", "logprob": math.log(0.25), "bytes": down[3:]}]
    tokens = [
        Token('"', 0.0),
        Token("", 0.0, up[:3]),
        Token("", math.log(0.75), up[3:], json.dumps(last).encode()),  # type: ignore[arg-type]
        Token('"', 0.0),
    ]
    branches = read_branches(thumbs, spell_out('"👍"', tokens), at=0)
    assert measure_options(thumbs, branches).shares == pytest.approx([0.75, 0.25])


def test_several_answers_tell_of_several_branches() -> None:
    """What one answer left open is known from another one that went there."""
    options = [-2, -1, 0, 1]
    first = {"1": 0.4, "0": 0.3, "-": 0.3}
    one = read_branches(options, spell(("1", first)), at=0)
    other = read_branches(options, spell(("-", first), ("2", {"2": 0.9, "1": 0.1})), at=0)
    odds = measure_options(options, join_branches([one, other, one]))
    assert odds.shares == pytest.approx([0.27, 0.03, 0.3, 0.4])
    assert odds.known == pytest.approx(1.0) and not odds.open


def test_a_value_that_is_no_option_tells_nothing() -> None:
    """An answer that left the field empty, or wrote it in another way, has no probabilities."""
    shares = {"null": 0.6, "1": 0.4}
    assert read_branches([1, 2], spell(("null", shares)), at=0) == {}
    assert read_branches(["é"], spell(('"\\', {}), ("u00e9", {})), at=0) == {}


def test_many_ways_to_one_beginning_are_walked_once() -> None:
    """However the tokens of hostile answers cut a long option, each beginning counts once."""
    options = ["a" * 60, "a" * 60 + "b"]
    steps = [("a", {"a" * size: 1 / 16 for size in range(1, 17)}) for _ in range(60)]
    branches = read_branches(options, spell(('"', {}), *steps, ('"', {'"': 0.5, "b": 0.5})), at=0)
    odds = measure_options(options, branches)
    assert 0 < odds.known <= 1 and odds.shares[0] == pytest.approx(odds.shares[1], rel=0.5)


def test_tokens_may_share_a_character() -> None:
    """A letter of several tokens before the value does not move its place."""
    tokens = [
        Token('{"a":"\xc3', 0.0, [*b'{"a":"\xc3']),
        Token("\xa9", 0.0, [0xA9]),
        Token('","n":', 0.0, [*b'","n":']),
        Token("2", math.log(0.5), None, b'[{"token":"3","logprob":-0.6931}]'),  # type: ignore[arg-type]
        Token("}", 0.0),
    ]
    text = '{"a":"é","n":2}'
    at = len(text[: find_places(text)[("n",)]].encode())
    branches = read_branches([2, 3], spell_out(text, tokens), at=at)
    assert measure_options([2, 3], branches).shares == pytest.approx([0.5, 0.5], abs=1e-3)
    assert spell_out("another text", tokens) == []


def test_values_are_found_in_their_text() -> None:
    """Also within objects and after texts with braces; a text that breaks off has some."""
    text = 'So: {"a": "}{\\"b\\": 1", "inner": {"safe": true}, "n":[1, {"x": 2}], "m": -1.5}'
    places = find_places(text)
    assert {path: text[at:][:4] for path, at in places.items() if path} == {
        ("a",): '"}{\\',
        ("inner",): '{"sa',
        ("inner", "safe"): "true",
        ("n",): "[1, ",
        ("m",): "-1.5",
    }
    assert find_places("no object") == {}
    assert ("a",) in find_places('{"a": 1, "b"')


def test_a_score_is_weighted_by_probability() -> None:
    """The expected value beats the most likely one, and the mass says how much was valid."""
    said = read_said(
        write_answer({"stars": 4, "reason": "good"}, {"4": 0.4, "5": 0.3, "1": 0.1, "x": 0.2}),
        schema=SCHEMA,
    )
    assert (said.json_values, said.reason) == ({"stars": 4}, "good")
    assert said.mass == pytest.approx(0.8)
    assert said.probabilities["stars"] == pytest.approx([0.125, 0, 0, 0.5, 0.375])
    assert said.scores["stars"] == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("change", "failure"),
    [
        ({"finish_reason": "length"}, "cut_off"),
        ({"finish_reason": "content_filter"}, "filtered"),
        ({"refusal": "I will not."}, "refused"),
        ({"content": ""}, "unreadable"),
        ({"content": "four"}, "unreadable"),
        ({"content": "[4]"}, "unreadable"),
        ({"content": '{"stars": 7}'}, "unreadable"),
        ({"content": '{"stars": "4"}'}, "unreadable"),
        ({"content": '{"tone": "bad"}'}, "unreadable"),
    ],
)
def test_what_is_no_judgement_has_a_reason(change: dict[str, str], failure: str) -> None:
    """It is never a score."""
    response = create_response('{"stars": 4, "reason": ""}')
    choice = response["choices"][0]
    choice["finish_reason"] = change.pop("finish_reason", "stop")
    choice["message"] |= change
    with pytest.raises(Unread) as raised:
        read_said(json.dumps(response).encode(), schema=SCHEMA)
    assert raised.value.failure == failure


def test_little_mass_is_no_judgement() -> None:
    """With less than half of the probability on valid values there is none."""
    with pytest.raises(Unread, match="Only 45% of the probability") as raised:
        read_said(write_answer({"stars": 4}, {"4": 0.45, "x": 0.55}), schema=SCHEMA)
    assert raised.value.failure == "unsure"
    with pytest.raises(Unread, match="no choice"):
        read_said(b'{"choices": []}', schema=SCHEMA)


SIGNED = {
    "type": "object",
    "required": ["stars"],
    "properties": {"stars": {"type": "integer", "minimum": -3, "maximum": 3}},
}


def test_an_open_branch_asks_for_another_answer() -> None:
    """The mass is what is known, the score is of no more than that, and more answers tell more."""
    one, other = (read_said(each, schema=SIGNED) for each in write_torn())
    assert one.mass == pytest.approx(0.6) and one.open == pytest.approx(0.4)
    assert not one.is_known and one.scores["stars"] == pytest.approx(4 / 3)
    both = merge([one, other], schema=SIGNED)
    assert both.is_known and both.mass == pytest.approx(1.0)
    assert both.probabilities["stars"] == pytest.approx([0.2, 0.2, 0, 0, 0.4, 0.2, 0])
    assert both.scores["stars"] == pytest.approx(-0.2)
    check_mass(both)


def test_a_score_of_less_than_half_is_none() -> None:
    """Too much on a branch that nobody knows is as bad as too much on what is no option."""
    said = read_said(write_answer({"stars": 1}, {"1": 0.4, "-": 0.6}), schema=SIGNED)
    assert said.mass == pytest.approx(0.4)
    with pytest.raises(Unread, match="60% is on what several values begin with") as raised:
        check_mass(said)
    assert raised.value.failure == "unsure"


def test_a_fence_is_taken_off() -> None:
    """Models without structured output put one around JSON."""
    text = '```json\n{"stars": 2, "reason": "r"}\n```'
    said = read_said(json.dumps(create_response(text)).encode(), schema=SCHEMA)
    assert (said.json_values, said.mass) == ({"stars": 2}, None)


def test_several_answers_are_shares() -> None:
    """Without probabilities, an option has the share of the answers that gave it."""
    answers = [
        read_said(write_answer({"stars": stars, "tone": tone, "reason": str(stars)}), schema=SCHEMA)
        for stars, tone in ((4, "good"), (5, "good"), (4, "bad"))
    ]
    said = merge(answers, schema=SCHEMA)
    assert said.json_values == {"stars": 4, "tone": "good"}
    assert said.probabilities["stars"] == pytest.approx([0, 0, 0, 2 / 3, 1 / 3])
    assert said.probabilities["tone"] == pytest.approx([2 / 3, 0, 1 / 3])
    assert said.scores == {"stars": pytest.approx(13 / 3)}
    assert (said.mass, said.reason) == (None, "4")


def test_fields_with_options() -> None:
    """Scales, choices, yes and no; also within an object. A long scale has no options."""
    fields = {field.name: list_options(field) for field in list_scored(SCHEMA)}
    assert fields == {
        "stars": [1, 2, 3, 4, 5],
        "tone": ["good", "goodish", "bad"],
        "inner.safe": [True, False],
    }
    long = {"properties": {"n": {"type": "integer", "minimum": 0, "maximum": 1000}}}
    assert [list_options(field) for field in list_scored(long)] == [[]]
