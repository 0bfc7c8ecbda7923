"""What the gateway asks of whoever answers, and what a vendor's wire has to say for that."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, Protocol, runtime_checkable

from briggs.types.envelope import Envelope


class Prepared(NamedTuple):
    """A call as one provider will be asked it."""

    envelope: Envelope
    model: str
    """As the provider calls it."""
    body: bytes
    dropped: Sequence[str] = ()
    """Parameters of the caller's that are not in `body`, since the wire has no word for them."""
    translated: bool = False
    """Whether the vendor has words of its own: then it is judged by what they become."""
    names_deployment: bool = False
    """Whether `model` is a name that its owner chose: the answer may name any model."""
    connect_timeout_s: float | None = None
    """Where a connection must be there sooner than the transport would have it."""
    mended: Sequence[str] = ()
    """What was changed because the vendor would refuse it, such as `stop: an empty text is left
    out`."""
    unsigned: Sequence[str] = ()
    """The ids of the calls in the history that the vendor may have signed, and that come without
    their signature."""


class Answer(NamedTuple):
    """A whole answer: a chat completion, and the bytes that the upstream sent for it."""

    body: bytes
    received: bytes
    cost: str | None = None
    """What the upstream says beside it that the call cost, in US dollars."""


class Piece(NamedTuple):
    """What one read of a stream brought: the bytes, and the chunks that ended in them."""

    received: bytes
    payloads: Sequence[bytes]


class Provider(Protocol):
    """Somebody who answers chat completions."""

    name: str

    @property
    def base_url(self) -> str | None:
        """Where it answers; None for one that runs on this machine."""
        ...

    @property
    def is_configured(self) -> bool:
        """Whether it has what it needs to be asked, as far as can be told without asking."""
        ...

    def prepare(self, envelope: Envelope, *, model: str) -> Prepared:
        """Translate a call, asking nobody.

        Raises `InvalidRequest` for what cannot be said on this wire, as `UnsupportedParameter`
        where it is a parameter and this provider is not to drop those.
        """
        ...

    async def complete(self, prepared: Prepared) -> Answer:
        """Ask for a whole answer. Raises `UpstreamError`, `ProviderNotReady`."""
        ...

    def stream(self, prepared: Prepared) -> AbstractAsyncContextManager[AsyncIterator[Piece]]:
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


class Encoded(NamedTuple):
    """A request in a vendor's words."""

    body: bytes
    unsupported: Sequence[str] = ()
    """Members of the request that the wire has no word for, and that `body` leaves out."""
    mended: Sequence[str] = ()
    """What `body` says otherwise because the vendor would refuse it, each with its place."""
    unsigned: Sequence[str] = ()
    """The ids of calls in the history without the signature that the vendor may have given."""


class ErrorWords(NamedTuple):
    """What an upstream's error body says."""

    message: str
    type: str | None = None
    code: str | None = None
    param: str | None = None
    retry_after_s: int | None = None
    """How long to wait, where that is said in the body."""
    refuses_key: bool = False
    """Whether it is about our key, where the status does not say so."""


class ModelPage(NamedTuple):
    """A page of a vendor's list of models."""

    models: Sequence[dict[str, Any]]
    """Each with at least `id`."""
    more: str = ""
    """What the address of the list ends in for the next page; empty where this is the last."""


class StreamDecoder(Protocol):
    """Turns the bytes of one stream, however they are split, into the payloads of chunks."""

    done: bool
    """Whether the stream has said that it is over; what comes after that is nobody's."""

    def feed(self, data: bytes) -> Sequence[bytes]:
        """The payloads that end in this read: chunks as JSON, and an error in mid-stream as
        `{"error": ...}`. Raises `UpstreamInvalid` for what is not of this wire; where good
        chunks came in the same read, not before it is fed again."""
        ...


class Wire(Protocol):
    """How a vendor speaks: everything but `authorize` is a pure function.

    What a vendor says need not conform, only be a chat completion in shape: all answers are
    brought to the specification afterwards, in one place.
    """

    @property
    def translates(self) -> bool:
        """Whether the vendor has words of its own."""
        ...

    @property
    def names_deployments(self) -> bool:
        """Whether it is asked for deployments, whose names their owner chooses."""
        ...

    @property
    def stream_types(self) -> Sequence[str]:
        """How the content type of a stream begins."""
        ...

    def url(self, base_url: str, *, model: str, stream: bool) -> str:
        """Where a call is posted."""
        ...

    def authorize(
        self, *, method: str, url: str, headers: dict[str, str], body: bytes, key: str | None
    ) -> dict[str, str]:
        """The headers of a request, with whatever proves who sends it."""
        ...

    def encode(self, envelope: Envelope, *, model: str) -> Encoded:
        """A call in the vendor's words. Raises `InvalidRequest` for what cannot be said."""
        ...

    def decode(self, body: bytes, *, prepared: Prepared) -> bytes:
        """A whole answer as a chat completion. Raises `UpstreamInvalid`."""
        ...

    def open_stream(self, prepared: Prepared) -> StreamDecoder:
        """A decoder for the answer to one call."""
        ...

    def read_error(self, body: bytes) -> ErrorWords:
        """An error's words."""
        ...

    def models_url(self, base_url: str) -> str:
        """Where the models are listed, from the first on."""
        ...

    def read_models(self, body: bytes) -> ModelPage:
        """A page of that list. Raises `ValueError`, `KeyError`, `TypeError` or `AttributeError`
        for what is none."""
        ...


@runtime_checkable
class Refreshing(Protocol):
    """A wire that has to find what it proves by who asks, and find it again when that runs out."""

    async def refresh(self, *, key: str | None) -> None:
        """Have what the next request needs. Raises `ProviderNotReady`."""
        ...
