"""What the gateway asks of whoever answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, Protocol

from briggs.types.envelope import Envelope


class Answer(NamedTuple):
    """A whole answer: a chat completion, and the bytes that the upstream sent for it."""

    body: bytes
    received: bytes


class Piece(NamedTuple):
    """What one read of a stream brought: the bytes, and the chunks that ended in them."""

    received: bytes
    payloads: list[bytes]


class Provider(Protocol):
    """Somebody who answers chat completions."""

    name: str

    @property
    def is_configured(self) -> bool:
        """Whether it has what it needs to be asked, as far as can be told without asking."""
        ...

    async def complete(self, envelope: Envelope, *, model: str) -> Answer:
        """Ask for a whole answer. Raises `UpstreamError`, `ProviderNotReady`."""
        ...

    def stream(
        self, envelope: Envelope, *, model: str
    ) -> AbstractAsyncContextManager[AsyncIterator[Piece]]:
        """Ask for chunks. Raises `UpstreamError`, `ProviderNotReady`.

        Leaving the block early tells the upstream that nobody listens any more.
        """
        ...

    async def list_models(self) -> list[dict[str, Any]]:
        """Its models as it lists them, each with at least `id`. Raises `UpstreamError`."""
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...


class Target(NamedTuple):
    """One provider and what it calls the model."""

    provider: Provider
    model: str
