"""How sure a model was: figures of an answer's tokens, and the odds at each of them."""

from __future__ import annotations

import bisect
import heapq
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from briggs.types.tokens import Alternative, Token

LEVEL_MAX = 7
LEVEL_FLOORS = [10 ** -(((level + 0.5) / 4) ** 2) for level in range(LEVEL_MAX)]
"""The lowest probability of each level but the last: about .96, .72, .41, .17, .05, .013, .002."""
UNCERTAIN_LEVEL = 3
"""Tokens of this level or above are the uncertain ones: below a probability of about 0.4."""

_LOGPROB_FLOORS = [-math.log(floor) for floor in LEVEL_FLOORS]


class Certainty(NamedTuple):
    """How sure the model was of an answer."""

    tokens: int
    p_mean: float
    """The geometric mean of the probabilities: e to the power of the mean logprob."""
    p_least: float
    perplexity: float
    """How many equally likely tokens the model chose from, on average."""
    entropy_bits: float | None
    """The mean entropy of the tokens that have alternatives. None if none has."""
    logprob_sum: float


class Odds(NamedTuple):
    """The tokens that could have come at one place, the most likely first."""

    options: Sequence[Alternative]
    """The alternatives, and the token itself if it was not among them."""
    others: float
    """The probability of all other tokens together."""
    bits: float | None
    """The entropy, with the others as one outcome. None without alternatives."""


def find_level(logprob: float) -> int:
    """How uncertain a token is, from 0 (at least 96 %) to 7, by the scale of the pages."""
    return bisect.bisect_left(_LOGPROB_FLOORS, -logprob)


def to_probability(logprob: float) -> float:
    """A probability, at most 1: providers round."""
    return math.exp(min(logprob, 0.0))


def read_certainty(logprobs: Sequence[float]) -> tuple[float, float]:
    """The mean and the least probability of some tokens, as in `Figures`."""
    return to_probability(sum(logprobs) / len(logprobs)), to_probability(min(logprobs))


def measure(tokens: Sequence[Token]) -> Certainty | None:
    """The figures of an answer. None for an answer without logprobs."""
    if not tokens:
        return None
    total = math.fsum(token.logprob for token in tokens)
    entropies = [bits for token in tokens if (bits := _measure_bits(token)) is not None]
    mean = total / len(tokens)
    return Certainty(
        tokens=len(tokens),
        p_mean=to_probability(mean),
        p_least=to_probability(min(token.logprob for token in tokens)),
        perplexity=math.exp(min(-mean, 700.0)),
        entropy_bits=math.fsum(entropies) / len(entropies) if entropies else None,
        logprob_sum=total,
    )


def find_odds(token: Token) -> Odds:
    """The options at a token's place."""
    options = token.list_alternatives()
    if all(option.token != token.token for option in options):
        options.append(Alternative(token.token, token.logprob, token.bytes))
    options.sort(key=lambda option: -option.logprob)
    others = 1 - math.fsum(to_probability(option.logprob) for option in options)
    return Odds(options, max(others, 0.0), _measure_bits(token))


def _measure_bits(token: Token) -> float | None:
    """The entropy at a token's place, with all tokens that are not listed as one outcome."""
    options = token.list_alternatives()
    if not options:
        return None
    is_listed = False
    rest, nats = 1.0, 0.0
    for option in options:
        is_listed = is_listed or option.token == token.token
        share = math.exp(option.logprob) if option.logprob < 0 else 1.0
        rest -= share
        nats -= share * option.logprob
    if not is_listed:
        share = to_probability(token.logprob)
        rest -= share
        nats -= share * token.logprob
    if rest > 0:
        nats -= rest * math.log(rest)
    return max(nats / math.log(2), 0.0)


def find_probability(at: Token, *, of: str) -> float | None:
    """The probability that a token had at another's place. None if it was not among the options."""
    for option in (Alternative(at.token, at.logprob), *at.list_alternatives()):
        if option.token == of:
            return to_probability(option.logprob)
    return None


def count_levels(tokens: Iterable[Token]) -> list[int]:
    """How many tokens have each level."""
    counts = [0] * (LEVEL_MAX + 1)
    for token in tokens:
        counts[find_level(token.logprob)] += 1
    return counts


def bin_levels(logprobs: Sequence[float], *, bins_max: int) -> list[int]:
    """The level of each token. If there are more than `bins_max`, the highest of each bin."""
    size = max(1, math.ceil(len(logprobs) / bins_max))
    return [
        find_level(min(logprobs[start : start + size])) for start in range(0, len(logprobs), size)
    ]


def list_least_certain(tokens: Sequence[Token], *, limit: int) -> list[int]:
    """The places of the least certain tokens, the least certain first. None of level 0."""
    uncertain = (place for place, token in enumerate(tokens) if find_level(token.logprob))
    return heapq.nsmallest(limit, uncertain, key=lambda place: tokens[place].logprob)


def find_parting(answers: Sequence[Sequence[Token]]) -> int | None:
    """The first place at which several answers differ. None if they are the same."""
    if len(answers) < 2:
        return None
    for place, together in enumerate(zip(*answers, strict=False)):
        if len({token.token for token in together}) > 1:
            return place
    shortest = min(map(len, answers))
    return shortest if any(len(tokens) > shortest for tokens in answers) else None
