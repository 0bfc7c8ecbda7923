"""What is known of how a value goes on, token by token, and so how likely each option is."""

from __future__ import annotations

import math
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from briggs.types import json
from briggs.types.probabilities import to_probability
from briggs.types.tokens import Token, spell

Branches = Mapping[bytes, Sequence[Mapping[bytes, float]]]
"""By the beginning of a value, as bytes of JSON: what it may become by one token, and how likely
that is. A list, because each answer that went this way has seen it."""

_WORD = frozenset(string.ascii_letters + string.digits + "._-")


class Spelled(NamedTuple):
    """A token, and where its bytes begin in the text."""

    start: int
    bytes: bytes
    token: Token


class OptionOdds(NamedTuple):
    """The probabilities of some options, as far as they are known."""

    shares: list[float]
    """Of each option."""
    open: float
    """The probability of beginnings that several options share, and no answer went on with."""

    @property
    def known(self) -> float:
        """The probability of all options together."""
        return min(math.fsum(self.shares), 1.0)


def spell_out(text: str, tokens: Sequence[Token]) -> list[Spelled]:
    """The tokens with their places in the text. Empty if they do not spell it."""
    spelled, start = [], 0
    for token in tokens:
        spelled.append(Spelled(start, spell(token), token))
        start += len(spelled[-1].bytes)
    joined = b"".join(each.bytes for each in spelled)
    return spelled if joined.startswith(text.encode("utf-8", "replace")) else []


def read_branches(options: Sequence[Any], tokens: Sequence[Spelled], *, at: int) -> Branches:
    """What an answer tells of the value at a place of it, in bytes, until only one option is left.

    Empty if the answer itself has none of the options there, or writes it in another way.
    """
    written = [json.encode_plain(option) for option in options]
    found: dict[bytes, list[Mapping[bytes, float]]] = {}
    said = b""
    for spelled in tokens[_find_token(tokens, at) :]:
        lead = spelled.bytes[: max(at - spelled.start, 0)]
        shares: dict[bytes, float] = {}
        for token, share in _list_next(spelled):
            after = _go_on(said, token, lead)
            if after is not None:
                shares[after] = shares.get(after, 0.0) + share
        found.setdefault(said, []).append(shares)
        said = _go_on(said, spelled.bytes, lead) or said
        left = _list_fitting(written, said)
        if not left:
            return {}
        if len(left) == 1:
            break
    return found


def join_branches(answers: Iterable[Branches]) -> Branches:
    """What several answers to one question tell together."""
    joined: dict[bytes, list[Mapping[bytes, float]]] = {}
    for branches in answers:
        for said, seen in branches.items():
            joined.setdefault(said, []).extend(seen)
    return joined


def measure_options(options: Sequence[Any], branches: Branches) -> OptionOdds:
    """How likely each option is.

    A beginning that only one option can go on with counts for this one. What several could go on
    with is followed as far as an answer went that way. The rest of it is open, and nobody's.
    """
    written = [json.encode_plain(option) for option in options]
    shares, open = [0.0] * len(options), 0.0
    chances = {b"": 1.0}
    for said in sorted(branches, key=len):
        for after, share in _average(branches[said]).items():
            part = chances.get(said, 0.0) * share
            fitting = _list_fitting(written, after)
            if len(fitting) == 1:
                shares[fitting[0]] += part
            elif fitting and after in branches and len(after) > len(said):
                chances[after] = chances.get(after, 0.0) + part
            elif fitting:
                open += part
    return OptionOdds(shares, min(open, 1.0))


def _average(seen: Sequence[Mapping[bytes, float]]) -> Mapping[bytes, float]:
    total: dict[bytes, float] = {}
    for each in seen:
        for after, share in each.items():
            total[after] = total.get(after, 0.0) + share / len(seen)
    return total


def _list_next(spelled: Spelled) -> Iterator[tuple[bytes, float]]:
    """A token and its alternatives, each with its probability."""
    yield spelled.bytes, to_probability(spelled.token.logprob)
    for each in spelled.token.list_alternatives():
        if (text := spell(each)) != spelled.bytes:
            yield text, to_probability(each.logprob)


def _go_on(said: bytes, token: bytes, lead: bytes) -> bytes | None:
    """What has been said of the value with another token. Blanks before the value may differ.

    `lead` is what the token of the answer had before the value. None if another one differs there.
    """
    if said:
        return said + token
    if not lead.strip():
        return token.lstrip()
    return token[len(lead) :].lstrip() if token.startswith(lead) else None


def _list_fitting(written: Sequence[bytes], said: bytes) -> list[int]:
    """The places of the options that may be what is being said."""
    return [place for place, option in enumerate(written) if _fits(option, said)]


def _fits(option: bytes, said: bytes) -> bool:
    """Whether it is the beginning of an option, or an option and what follows."""
    if option.startswith(said):
        return True
    # A number or a word must end where the option does.
    return said.startswith(option) and chr(said[len(option)]) not in _WORD


def _find_token(tokens: Sequence[Spelled], at: int) -> int:
    """The place of the token that has a byte of the text."""
    place = 0
    while place + 1 < len(tokens) and tokens[place + 1].start <= at:
        place += 1
    return place
