"""In which order a route's targets are asked: a pure function of a key."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from math import log
from typing import Literal, NamedTuple

import msgspec

from briggs.gateway.cooling import Cooling
from briggs.gateway.timeouts import Policy
from briggs.providers.base import Target
from briggs.types.completions import Completion


class Choice(NamedTuple):
    """One of a route's targets, or another route, with its share of the calls."""

    name: str
    to: Target | Route
    weight: float = 1


class Route(msgspec.Struct, frozen=True):
    """Whom a name means, and how they are asked."""

    choices: Sequence[Choice]
    policy: Policy
    cooling: Cooling
    strategy: Literal["order", "weight"] = "order"
    sticky: Literal["session"] | None = None


def arrange(route: Route, completion: Completion) -> list[Target]:
    """The targets of a route, the first to be asked first, each once."""
    choices = route.choices
    if len(choices) == 1 and not isinstance(choices[0].to, Route):
        return [choices[0].to]
    if route.sticky and completion.session_id:
        choices = draw(choices, key=completion.session_id)
    elif route.strategy == "weight":
        choices = draw(choices, key=completion.id)
    targets: dict[Target, None] = {}
    for choice in choices:
        if isinstance(choice.to, Route):
            targets.update(dict.fromkeys(arrange(choice.to, completion)))
        else:
            targets[choice.to] = None
    return list(targets)


def draw(choices: Sequence[Choice], *, key: str) -> list[Choice]:
    """The choices in an order that the key decides, each first as often as its weight says.

    Every choice runs a time that is exponential in its weight, which is rendezvous hashing with
    weights: if one is gone, the keys that it had go to the others, and no other key moves.
    """
    return sorted(choices, key=lambda choice: -log(_draw_one(key, choice.name)) / choice.weight)


def _draw_one(key: str, name: str) -> float:
    """A number above 0, and up to 1, that looks like chance and is always the same."""
    digest = blake2b(f"{key}\0{name}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") + 1) / 2**64
