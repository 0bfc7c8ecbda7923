"""Defines what the gateway needs from a provider."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from briggs.types.envelope import Envelope
from briggs.wires.base import Prepared


class Answer(msgspec.Struct, frozen=True):
    """A whole answer: a chat completion, and the bytes that the upstream sent."""

    body: bytes
    received: bytes
    cost: str | None = None
    """The cost of the call in US dollars, if the upstream's headers give it."""


class Take(Protocol):
    """Takes one piece of a stream. Returns whether to go on."""

    def __call__(
        self, received: bytes, payloads: Sequence[bytes], passed: bytes | None = None, /
    ) -> bool:
        """`received` are the bytes that came, and `payloads` the chunks that ended in them.
        `passed` is what a caller of the vendor's format gets, if that is not `received`."""
        ...


class Stream(Protocol):
    """An answer that comes in pieces. Close it."""

    async def read(self, take: Take) -> bool:
        """Hand over each piece as it comes, until `take` returns False or the stream ends.

        Returns whether it has ended. If not, it can be read on. Raises `UpstreamError`.
        """
        ...

    def close(self) -> None:
        """Release the connection. If the stream has not ended, cancel it at the upstream."""
        ...


class Provider(Protocol):
    """Answers chat completions."""

    name: str

    @property
    def base_url(self) -> str | None:
        """The address at which it answers; None for models that Briggs runs itself."""
        ...

    @property
    def is_configured(self) -> bool:
        """Whether it has the settings and the key that it needs. Sends no request."""
        ...

    def prepare(self, envelope: Envelope, *, model: str) -> Prepared:
        """Translate a call. Sends no request.

        Raises `InvalidRequest` for what this wire cannot express. For a parameter that is
        `UnsupportedParameter`, unless the provider's settings say to drop those.
        """
        ...

    async def complete(self, prepared: Prepared) -> Answer:
        """Get a whole answer. Raises `UpstreamError`, `ProviderNotReady`."""
        ...

    async def stream(self, prepared: Prepared) -> Stream:
        """Get a stream of chunks. Raises `UpstreamError`, `ProviderNotReady`."""
        ...

    async def list_models(self) -> list[dict[str, Any]]:
        """Its own list of models, each with at least `id`. Raises `UpstreamError`."""
        ...

    async def close(self) -> None:
        """Release all resources."""
        ...


class Target(NamedTuple):
    """A provider, and its name for the model."""

    provider: Provider
    model: str
