"""Tokens are read from answers of any shape, and spell their text."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from briggs.types import json
from briggs.types.tokens import Speller, Token, list_tokens, read_answers
from tests.types.strategies import json_values, responses


@given(st.text(st.characters(exclude_categories=["Cs"])), st.data())
def test_pieces_spell_the_text(text: str, data: st.DataObject) -> None:
    """However a text's bytes are split into tokens, the pieces give the text."""
    encoded = text.encode()
    cuts = data.draw(st.lists(st.integers(0, len(encoded))).map(sorted))
    bounds = [0, *cuts, len(encoded)]
    parts = [encoded[start:end] for start, end in pairwise(bounds)]
    tokens = [Token(token="?", logprob=-0.1, bytes=list(part)) for part in parts]
    assert "".join(piece.text for piece in Speller().spell(tokens)) == text


def test_a_character_of_several_tokens_has_their_probability() -> None:
    """Tokens that form one character are one piece, with the product of their probabilities."""
    first, second = "é".encode()[:1], "é".encode()[1:]
    tokens = [
        Token(token="a", logprob=0.0),
        Token(token="?", logprob=math.log(0.5), bytes=list(first)),
        Token(token="?", logprob=math.log(0.5), bytes=list(second)),
    ]
    _, piece = Speller().spell(tokens)
    assert (piece.text, piece.first, piece.last) == ("é", 1, 2)
    assert math.isclose(piece.probability, 0.25)


def test_tokens_without_bytes_are_their_text() -> None:
    """If a provider gives no bytes, the token itself is the text."""
    (piece,) = Speller().spell([Token(token="ab", logprob=0.0)])
    assert (piece.text, piece.probability) == ("ab", 1.0)


def test_bytes_that_are_no_bytes_spell_nothing() -> None:
    """A number above 255 in `bytes` makes no character, and no error."""
    assert list(Speller().spell([Token(token="a", logprob=0.0, bytes=[300])])) == []


@given(responses())
def test_the_answers_of_a_response_are_its_choices(response: dict[str, Any]) -> None:
    """Every choice is read, with its message, its finish reason and its tokens."""
    answers = read_answers(json.encode(response))
    assert [answer.message for answer in answers] == [
        choice["message"] for choice in response["choices"]
    ]
    for answer, choice in zip(answers, response["choices"], strict=True):
        assert answer.finish_reason == choice["finish_reason"]
        assert [token.logprob for token in answer.tokens] == [
            token.logprob for token in list_tokens(choice)
        ]


@given(json_values())
def test_any_json_can_be_read(value: Any) -> None:
    """A response, a choice or a token of any shape is read or left out; none is an error."""
    token = {"token": "a", "logprob": -1, "bytes": value, "top_logprobs": value}
    for choice in (value, {"logprobs": value}, {"logprobs": {"content": [value, token]}}):
        for answer in read_answers(json.encode({"choices": [choice]})):
            for each in answer.tokens:
                each.list_alternatives()
    assert read_answers(json.encode(value)) is not None


def test_tokens_of_the_wrong_shape_are_left_out() -> None:
    """A token without a number as logprob is no token; a wrong alternative is none."""
    tokens = [
        {"token": "a", "logprob": None},
        {"token": "b", "logprob": -1, "bytes": ["x"], "top_logprobs": [1, {"token": "c"}]},
        {"token": "d\ud800", "logprob": -2, "top_logprobs": [{"token": "e", "logprob": -3}]},
    ]
    body = json.encode({"choices": [{"text": "bd", "logprobs": {"content": tokens}}]})
    [answer] = read_answers(body)
    assert answer.message == {"content": "bd"}
    assert [(each.token, each.logprob, each.bytes) for each in answer.tokens] == [
        ("b", -1.0, None),
        ("d\ud800", -2.0, None),
    ]
    assert [len(each.list_alternatives()) for each in answer.tokens] == [0, 1]


def test_a_body_that_is_no_json_has_no_answers() -> None:
    """Bytes that are no JSON, or too deep, have no choices."""
    assert read_answers(b"\xff{") == read_answers(b"[" * 100_000) == []
