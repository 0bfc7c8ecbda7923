"""Decides the order in which the targets of a model are tried. It depends on nothing but a key."""

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


class Share(NamedTuple):
    """One target of a model, or another model's targets, with its share of the calls."""

    name: str
    to: Target | Targets
    weight: float = 1


class Targets(msgspec.Struct, frozen=True):
    """The targets that a model's name stands for, and how they are tried."""

    shares: Sequence[Share]
    policy: Policy
    cooling: Cooling
    strategy: Literal["order", "weight"] = "order"
    sticky: Literal["session"] | None = None


def arrange(targets: Targets, completion: Completion) -> list[Target]:
    """The targets of a model in the order in which to try them, each once."""
    shares = targets.shares
    if len(shares) == 1 and not isinstance(shares[0].to, Targets):
        return [shares[0].to]
    if targets.sticky and completion.session_id:
        shares = draw(shares, key=completion.session_id)
    elif targets.strategy == "weight":
        shares = draw(shares, key=completion.id)
    found: dict[Target, None] = {}
    for share in shares:
        if isinstance(share.to, Targets):
            found.update(dict.fromkeys(arrange(share.to, completion)))
        else:
            found[share.to] = None
    return list(found)


def draw(shares: Sequence[Share], *, key: str) -> list[Share]:
    """Order the shares by the key. Each comes first as often as its weight says.

    This is rendezvous hashing with weights: each share draws an exponentially distributed time
    with its weight as the rate, and the shortest time wins. If a share is removed, its keys
    move to the others, and no other key moves.
    """
    return sorted(shares, key=lambda share: -log(_draw_one(key, share.name)) / share.weight)


def _draw_one(key: str, name: str) -> float:
    """A number above 0 and up to 1. It looks random, but the same input gives the same number."""
    digest = blake2b(f"{key}\0{name}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") + 1) / 2**64
