"""Other vendors' names in a usage are each counted once, in the right place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from briggs.conform import Asked, ConformStream, Facts, conform_response
from briggs.wires.words.costs import COST_USD_MAX, read_cost
from briggs.wires.words.usage import WORDS, translate_words
from tests.conform.test_stream import BEGIN, END, TEXT, create_chunk
from tests.processes import create_response

Json = dict[str, Any]
ASKED = Asked(completion_id="ours", model="provider/m", include_usage=True)
COUNTED = ("prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens")
OWN = {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050}

VENDORS: dict[str, tuple[Json, tuple[int, int, int | None, int | None]]] = {
    "deepseek": (
        {**OWN, "prompt_cache_hit_tokens": 900, "prompt_cache_miss_tokens": 100},
        (1000, 50, 900, None),
    ),
    "moonshot": ({**OWN, "cached_tokens": 900}, (1000, 50, 900, None)),
    "litellm": (
        {**OWN, "cache_read_input_tokens": 700, "cache_creation_input_tokens": 200},
        (1000, 50, 700, 200),
    ),
    "anthropic": (
        {
            "input_tokens": 100,
            "output_tokens": 50,
            "cache_read_input_tokens": 700,
            "cache_creation_input_tokens": 200,
        },
        (1000, 50, 700, 200),
    ),
    "anthropic's counts by our names": (
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 150,
            "cache_read_input_tokens": 700,
            "cache_creation_input_tokens": 200,
        },
        (1000, 50, 700, 200),
    ),
    "a total that has the cache's tokens apart": (
        {
            "prompt_tokens": 600,
            "completion_tokens": 50,
            "total_tokens": 1050,
            "cache_read_input_tokens": 400,
        },
        (1000, 50, 400, None),
    ),
    "a total that has them in the input": (
        {
            "input_tokens": 1000,
            "output_tokens": 50,
            "total_tokens": 1050,
            "cache_read_input_tokens": 400,
        },
        (1000, 50, 400, None),
    ),
    "responses": (
        {
            "input_tokens": 1000,
            "input_tokens_details": {"cached_tokens": 900},
            "output_tokens": 50,
            "output_tokens_details": {"reasoning_tokens": 20},
            "total_tokens": 1050,
        },
        (1000, 50, 900, None),
    ),
    "bedrock": (
        {
            "inputTokens": 100,
            "outputTokens": 50,
            "totalTokens": 1050,
            "cacheReadInputTokens": 700,
            "cacheWriteInputTokens": 200,
        },
        (1000, 50, 700, 200),
    ),
    "gemini": (
        {
            "promptTokenCount": 1000,
            "candidatesTokenCount": 30,
            "thoughtsTokenCount": 20,
            "totalTokenCount": 1050,
            "cachedContentTokenCount": 900,
        },
        (1000, 50, 900, None),
    ),
    "dashscope": (
        {
            **OWN,
            "prompt_tokens_details": {"cached_tokens": 0, "cache_creation_input_tokens": 800},
        },
        (1000, 50, 0, 800),
    ),
    "langchain": (
        {
            "input_tokens": 1000,
            "output_tokens": 50,
            "total_tokens": 1050,
            "input_token_details": {"cache_read": 900, "cache_creation": 50},
        },
        (1000, 50, 900, 50),
    ),
    "whole in texts and floats": (
        {"input_tokens": "1000", "output_tokens": 50.0, "cached_input_tokens": "900"},
        (1000, 50, 900, None),
    ),
}


def read_facts(usage: Json) -> Facts:
    """The facts and the usage of a whole answer with this usage."""
    answer = json.dumps(create_response(usage=usage)).encode()
    conformed = conform_response(answer, asked=ASKED)
    passed = json.loads(conformed.body)["usage"]
    assert passed["total_tokens"] == passed["prompt_tokens"] + passed["completion_tokens"]
    again = conform_response(conformed.body, asked=ASKED)
    assert (again.body, again.fixes) == (conformed.body, [])
    assert again.facts == conformed.facts
    kept = {name: value for name, value in usage.items() if name not in OWN}
    for name, value in kept.items():
        if isinstance(value, dict):
            assert passed[name].items() >= {k: v for k, v in value.items() if v}.items()
        else:
            assert passed[name] == value
    return conformed.facts


@pytest.mark.parametrize("vendor", VENDORS)
def test_whole(vendor: str) -> None:
    """A whole answer gets the specification's names, keeps the vendor's, and counts once."""
    usage, counted = VENDORS[vendor]
    facts = read_facts(usage)
    assert tuple(getattr(facts, name) for name in COUNTED) == counted


@pytest.mark.parametrize("vendor", VENDORS)
def test_streamed(vendor: str) -> None:
    """A stream does the same, wherever its usage is, and the fix is noted."""
    usage, counted = VENDORS[vendor]
    for last in (
        create_chunk(choices=[], usage=usage),
        {**END, "usage": usage},
        {**END, "x_groq": {"usage": usage}},
        create_chunk(finish_reason="stop", choice={"usage": usage}),
    ):
        stream = ConformStream(ASKED)
        end = [] if last["choices"] and last["choices"][0]["finish_reason"] else [END]
        for chunk in (BEGIN, TEXT, *end, last):
            stream.add(json.dumps(chunk).encode())
        passed = json.loads(stream.end()[0])["usage"]
        folded = stream.fold()
        assert folded is not None
        assert tuple(getattr(folded.facts, name) for name in COUNTED) == counted
        assert (passed["prompt_tokens"], passed["completion_tokens"]) == counted[:2]
        assert "U7" in {fix.rule for fix in folded.fixes}


def test_a_usage_with_a_choice() -> None:
    """A usage in a choice or in `x_groq` is copied to the top of a whole answer."""
    usage = {**OWN, "cached_tokens": 900}
    answer = create_response()
    del answer["usage"]
    for place in (answer["choices"][0], answer.setdefault("x_groq", {})):
        place["usage"] = usage
        conformed = conform_response(json.dumps(answer).encode(), asked=ASKED)
        assert (conformed.facts.prompt_tokens, conformed.facts.cached_tokens) == (1000, 900)
        assert json.loads(conformed.body)["usage"].items() >= OWN.items()
        del place["usage"]


def test_the_fix_is_noted() -> None:
    """The record names the broken rule and the place."""
    body = json.dumps(create_response(usage={**OWN, "prompt_cache_hit_tokens": 900})).encode()
    [fix] = conform_response(body, asked=ASKED).fixes
    assert (fix.rule, fix.path) == ("U7", "usage.prompt_tokens_details.cached_tokens")


@pytest.mark.parametrize("word", WORDS, ids=lambda word: word.path)
def test_every_word(word: Any) -> None:
    """Each row of the table is read from its path. A part of 0 counts as absent."""
    name, _, part = word.path.partition(".")
    for count in (40, 0):
        usage = {**OWN, name: {part: count} if part else count}
        if word.place in OWN:
            del usage[word.place]
            del usage["total_tokens" if word.place != "total_tokens" else "prompt_tokens"]
        told = translate_words(usage)
        expected = count if count or word.place in OWN else None
        assert told.get(word.place) == expected


@pytest.mark.parametrize(
    "usage",
    [
        {**OWN, "prompt_tokens_details": {"cached_tokens": 900}, "cached_tokens": 7},
        {**OWN, "prompt_cache_hit_tokens": 0, "reasoning_tokens": 0},
        # More was thought than written, and the total does not have it.
        {**OWN, "reasoning_tokens": 94_000},
        {**OWN, "prompt_cache_hit_tokens": 2**63},
        {**OWN, "prompt_cache_hit_tokens": -5, "cached_tokens": None},
        {**OWN, "cached_tokens": [900], "input_tokens_details": 3, "reasoning_tokens": True},
        {**OWN, "queue_time": 0.1, "input_tokens": 0},
    ],
)
def test_what_says_nothing_new(usage: Json) -> None:
    """An answer with correct or unusable counts passes unchanged."""
    body = json.dumps(create_response(usage=usage)).encode()
    conformed = conform_response(body, asked=ASKED)
    assert (conformed.body, conformed.fixes) == (body, [])


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        ({"cost": 0.95}, 0.95),
        ({"cost": 0}, 0),
        ({"cost": "0.0123"}, 0.0123),
        ({"cost": {"total_cost": 0.006, "request_cost": 0.005}}, 0.006),
        ({"estimated_cost": 2.5e-06}, 2.5e-06),
        ({"cost_in_usd_ticks": 318_319_000}, 0.0318319),
        # The caller's own key pays the vendor, and OpenRouter takes 5 % of that.
        ({"cost": 0.95, "is_byok": True, "cost_details": {"upstream_inference_cost": 19}}, 19.95),
        ({"cost": 0, "is_byok": True}, None),
        ({"cost": -1}, None),
        ({"cost": float("nan")}, None),
        ({"cost": float("inf")}, None),
        ({"cost": "nan"}, None),
        ({"cost": "1e400"}, None),
        ({"cost": 10**400}, None),
        ({"cost": COST_USD_MAX + 1}, None),
        ({"cost": True}, None),
        ({"cost": "9" * 10_000}, None),
        ({"cost": [1]}, None),
        ({"cost_in_usd_ticks": 10**30}, None),
        ({}, None),
        (None, None),
    ],
)
def test_cost(usage: Any, cost: float | None) -> None:
    """A provider's own cost must be a plausible number of dollars, or it is ignored."""
    assert read_cost(usage) == (cost if cost is None else pytest.approx(cost))


def test_cost_of_an_answer() -> None:
    """The cost is a fact of whole answers and of streams, even without token counts."""
    for usage in ({**OWN, "cost": 0.95}, {"cost": 0.95}):
        body = json.dumps(create_response(usage=usage)).encode()
        assert conform_response(body, asked=ASKED).facts.cost_usd == 0.95
        stream = ConformStream(ASKED)
        for chunk in (BEGIN, TEXT, END, create_chunk(choices=[], usage=usage)):
            stream.add(json.dumps(chunk).encode())
        folded = stream.fold()
        assert folded is not None
        assert folded.facts.cost_usd == 0.95


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("place", ["cost", "cost_details.upstream", "prompt_tokens"])
def test_a_number_that_is_none(number: str, place: str) -> None:
    """NaN in a usage becomes null, and counts neither as tokens nor as cost. The answer is kept."""
    name, _, part = place.partition(".")
    usage = {**OWN, name: {part: "here"} if part else "here"}
    body = json.dumps(create_response(usage=usage)).replace('"here"', number).encode()
    conformed = conform_response(body, asked=ASKED)
    assert ("J1", f"usage.{place}") in {(fix.rule, fix.path) for fix in conformed.fixes}
    assert conformed.facts.cost_usd is None
    assert conformed.facts.prompt_tokens == 1000
    stream = ConformStream(ASKED)
    for chunk in (BEGIN, TEXT, END, create_chunk(choices=[], usage=usage)):
        stream.add(json.dumps(chunk).replace('"here"', number).encode())
    assert stream.fold() is not None
