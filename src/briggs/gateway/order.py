"""Decides the order in which a route's targets are tried. It depends on nothing but a key."""

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
    """One target of a route, or another route, with its share of the calls."""

    name: str
    to: Target | Route
    weight: float = 1


class Route(msgspec.Struct, frozen=True):
    """The targets that a model's name stands for, and how they are tried."""

    choices: Sequence[Choice]
    policy: Policy
    cooling: Cooling
    strategy: Literal["order", "weight"] = "order"
    sticky: Literal["session"] | None = None


def arrange(route: Route, completion: Completion) -> list[Target]:
    """The targets of a route in the order in which to try them, each once."""
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
    """Order the choices by the key. Each comes first as often as its weight says.

    This is rendezvous hashing with weights: each choice draws an exponentially distributed time
    with its weight as the rate, and the shortest time wins. If a choice is removed, its keys
    move to the others, and no other key moves.
    """
    return sorted(choices, key=lambda choice: -log(_draw_one(key, choice.name)) / choice.weight)


def _draw_one(key: str, name: str) -> float:
    """A number above 0 and up to 1. It looks random, but the same input gives the same number."""
    digest = blake2b(f"{key}\0{name}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") + 1) / 2**64
