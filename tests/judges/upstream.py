"""A model that grades as a test says: by the text, with probabilities or without, or badly."""

from __future__ import annotations

import json
import math
import re
from itertools import cycle
from typing import Any

from tests.processes import Behaviour, Seen, create_response

PRICES = '[prices."judge/m-1"]\ninput = 1000.0\noutput = 0.0\n'
"""Each call of the upstream's models has 5 tokens of input, so it costs half a cent."""
COST_USD = 0.005


def find_stars(seen: Seen) -> int:
    """The number in what is graded: its answer is "stars N"."""
    found = re.search(r"stars (\d+)", read_subject(seen)["answered"])
    assert found is not None, read_subject(seen)
    return int(found[1])


def read_subject(seen: Seen) -> dict[str, Any]:
    """What is graded, as the judge is shown it."""
    mark, subject, again = seen.json["messages"][-1]["content"].split("\n")
    assert mark == again and mark in seen.json["messages"][0]["content"]
    return dict(json.loads(subject))


def write_answer(values: dict[str, Any], shares: dict[str, float] | None = None) -> bytes:
    """An answer; with `shares`, the probabilities of what could stand for `stars`."""
    text = json.dumps(values, separators=(",", ":"))
    response = create_response(text)
    if shares is not None:
        before, _, after = text.partition(str(values["stars"]))
        tokens = [*write_tokens(before, shares, str(values["stars"])), *write_tokens(after)]
        response["choices"][0]["logprobs"] = {"content": tokens, "refusal": None}
    return json.dumps(response).encode()


def write_tokens(
    before: str, shares: dict[str, float] | None = None, said: str = ""
) -> list[dict[str, Any]]:
    """A token that is nearly sure, if it has a text, and one of several that could have come."""
    sure = [_token(before, 0.99, {})] if before else []
    return [*sure, _token(said, 0.0, shares)] if shares else sure


def _token(text: str, share: float, shares: dict[str, float]) -> dict[str, Any]:
    listed = [_alternative(each, chance) for each, chance in (shares or {text: share}).items()]
    return {**_alternative(text, shares.get(text, share)), "top_logprobs": listed}


def _alternative(text: str, share: float) -> dict[str, Any]:
    return {"token": text, "logprob": math.log(share), "bytes": list(text.encode())}


def surely(handler: Any, seen: Seen) -> None:
    """Says what the text says, and is rather sure."""
    stars = find_stars(seen)
    other = stars - 1 if stars > 1 else 2
    shares = {str(stars): 0.7, str(other): 0.2, "0": 0.1}
    handler.send_whole(200, write_answer({"stars": stars, "reason": "as it says"}, shares))


def varying(handler: Any, seen: Seen) -> None:
    """Says what the text says; it is sure of 4 and 5, and torn below."""
    stars = find_stars(seen)
    shares = {str(stars): 0.98} if stars > 3 else {"1": 0.3, "2": 0.35, "3": 0.3}
    shares.setdefault(str(stars), 0.3)
    handler.send_whole(200, write_answer({"stars": stars, "reason": ""}, shares))


SIGN = {"1": 0.4, "2": 0.2, "-": 0.4}
"""What `torn` may begin with, on a scale that has values below zero."""


def write_torn() -> tuple[bytes, bytes]:
    """Two answers to one question, 1 and -2, each with the probabilities of its own way."""
    below = create_response('{"stars":-2,"reason":""}')
    sign, digit = write_tokens('{"stars":', SIGN, "-"), write_tokens("", {"2": 0.5, "3": 0.5}, "2")
    tokens = [*sign, *digit, *write_tokens(',"reason":""}')]
    below["choices"][0]["logprobs"] = {"content": tokens, "refusal": None}
    return write_answer({"stars": 1, "reason": ""}, SIGN), json.dumps(below).encode()


def torn() -> Behaviour:
    """Says 1 first, then -2."""
    answers = cycle(write_torn())
    return lambda handler, seen: handler.send_whole(200, next(answers))


def without_logprobs(handler: Any, seen: Seen) -> None:
    """Refuses logprobs, as some models do, and says what the text says."""
    if "logprobs" in seen.json:
        error = {"message": "logprobs are not supported with this model", "param": "logprobs"}
        handler.send_whole(400, json.dumps({"error": error}).encode())
        return
    handler.send_whole(200, write_answer({"stars": find_stars(seen), "reason": "so"}))


def without_formats(handler: Any, seen: Seen) -> None:
    """Refuses structured output, and judges as `surely`."""
    if "response_format" in seen.json:
        error = {"message": "response_format is not supported", "param": "response_format"}
        handler.send_whole(400, json.dumps({"error": error}).encode())
        return
    surely(handler, seen)


def near_sighted(handler: Any, seen: Seen) -> None:
    """Reads no more than one example beside the question, and judges as `surely`."""
    if len(seen.json["messages"]) > 4:
        error = {"message": "It reads at most 9 tokens.", "code": "context_length_exceeded"}
        handler.send_whole(400, json.dumps({"error": error}).encode())
        return
    surely(handler, seen)


def blind(handler: Any, seen: Seen) -> None:
    """Can read nothing."""
    error = {"message": "It reads at most 9 tokens.", "code": "context_length_exceeded"}
    handler.send_whole(400, json.dumps({"error": error}).encode())


def unsure(handler: Any, seen: Seen) -> None:
    """Most of its probability is on what is no star."""
    handler.send_whole(200, write_answer({"stars": 3, "reason": ""}, {"3": 0.3, "x": 0.7}))


def ending(finish_reason: str, **message: Any) -> Behaviour:
    """Ends its answer for this reason."""

    def behave(handler: Any, seen: Seen) -> None:
        response = create_response('{"stars": 3')
        response["choices"][0]["finish_reason"] = finish_reason
        response["choices"][0]["message"] |= message
        handler.send_whole(200, json.dumps(response).encode())

    return behave


def saying(text: str) -> Behaviour:
    """Says always the same."""

    def behave(handler: Any, seen: Seen) -> None:
        handler.send_whole(200, json.dumps(create_response(text)).encode())

    return behave
