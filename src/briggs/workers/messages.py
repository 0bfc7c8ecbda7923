"""What the supervisor and its workers say to each other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from briggs.gateway.balances import Claim
from briggs.gateway.shortages import Shortage
from briggs.gateway.uses import Need
from briggs.types.limits import Holder

T = TypeVar("T")


class State(msgspec.Struct, kw_only=True, frozen=True):
    """What a worker knows of all of them."""

    keeper: int
    """The number of the one that does what only one may do."""
    running: int
    wanted: int
    restarts: int
    """How many workers have died since the start and were replaced."""


class Welcome(msgspec.Struct, kw_only=True, frozen=True):
    """What a worker is told when it begins."""

    number: int
    data: Path
    config: Path | None
    content: bytes | None
    """What the supervisor has read from the file. All workers use the same."""
    version: int
    """How often the file was read."""
    state: State


class PeerMessage(msgspec.Struct, frozen=True, array_like=True):
    """What a worker tells or asks all others."""

    topic: str
    body: bytes


class Reserve(msgspec.Struct, frozen=True, array_like=True):
    """A call that has limits."""

    claims: list[Claim]
    need: Need
    spent: list[tuple[Claim, dict[int, int]]]
    """What the record says of accounts that were not read yet."""


class Reserved(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the supervisor has found."""

    ticket: int = 0
    headers: Mapping[str, str] = {}
    shortage: Shortage | None = None
    """Set if the call does not fit into a limit."""
    unread: list[Claim] = []
    """Accounts that have to be read from the record first."""
    days: list[int] = []


class Settle(msgspec.Struct, frozen=True, array_like=True):
    """What a call has used."""

    ticket: int
    tokens: int
    cost: int


class UseOf(msgspec.Struct, frozen=True, array_like=True):
    """A question for what a holder uses."""

    holder: Holder
    id: str
    organization_id: str


class Borrowed(msgspec.Struct, frozen=True, array_like=True):
    """A model's process that the supervisor lends."""

    number: int
    address: str
    key: str


def encode(message: Any) -> bytes:
    """A message as bytes."""
    return msgspec.msgpack.encode(message, enc_hook=str)


def decode(content: bytes, *, of: type[T]) -> T:
    """A message of this type."""
    return msgspec.msgpack.decode(content, type=of, dec_hook=_read_path)


def _read_path(kind: type, value: Any) -> Any:
    return kind(value)
