"""Defines what a provider needs from a wire: the format of a vendor's requests and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import msgspec

from briggs.types.completions import CallKind, Completion
from briggs.types.envelope import Envelope
from briggs.types.errors import BriggsError

LINES = b"application/x-ndjson"
"""The content type of a stream of lines of JSON."""
CHAT = "chat"
"""The format of OpenAI's chat completions. All others are translated to and from it."""


class Prepared(msgspec.Struct, frozen=True):
    """A call, prepared for one provider."""

    envelope: Envelope
    model: str
    """The provider's name for it."""
    body: bytes
    dropped: Sequence[str] = ()
    """The caller's parameters that `body` leaves out, since the wire cannot express them."""
    translated: bool = False
    """Whether the vendor has its own format. Its answers are judged after translation."""
    names_deployment: bool = False
    """Whether its owner chose the name `model`. Then the answer may name any model."""
    connect_timeout_s: float | None = None
    """A limit for connecting that is shorter than the transport's, if there is one."""
    mended: Sequence[str] = ()
    """Changes that were made because the vendor would refuse the original, such as
    `stop: an empty text is left out`."""
    unsigned: Sequence[str] = ()
    """The ids of earlier tool calls that the vendor may have signed, but that come without
    their signature."""
    passes: bool = False
    """Whether the caller speaks the vendor's own format, so that it gets the vendor's bytes. Then
    the translation is only for the record."""
    headers: Mapping[str, str] = {}
    """The caller's headers that go on to the vendor, if the call passes."""
    ability: str = ""
    """The format of the vendor's ability that answers it, if that is not a chat completion."""


class Encoded(msgspec.Struct, frozen=True):
    """A request in a vendor's format."""

    body: bytes
    unsupported: Sequence[str] = ()
    """Members of the request that the wire cannot express, so `body` leaves them out."""
    mended: Sequence[str] = ()
    """Changes in `body`, since the vendor would refuse the original, each with its place."""
    unsigned: Sequence[str] = ()
    """The ids of earlier tool calls without the signature that the vendor may have given."""
    left_out: Sequence[str] = ()
    """What `body` leaves out untold, since it only makes an answer cheaper or faster."""
    headers: Mapping[str, str] | None = None
    """The caller's headers that go on. By default all that the face passes, if the call passes."""


class ErrorWords(NamedTuple):
    """The contents of an upstream's error body."""

    message: str
    type: str | None = None
    code: str | None = None
    param: str | None = None
    retry_after_s: int | None = None
    """How long to wait, if the body gives it."""
    refuses_key: bool = False
    """Whether the error is about our key although its status does not show that."""
    status: int | None = None
    """The status that the error should have had, if the vendor gives another."""


class ModelPage(NamedTuple):
    """A page of a vendor's list of models."""

    models: Sequence[dict[str, Any]]
    """Each with at least `id`."""
    more: str = ""
    """Added to the list's address to get the next page; empty on the last page."""


class StreamDecoder(Protocol):
    """Turns the bytes of one stream into the payloads of chunks, however the bytes are split."""

    done: bool
    """Whether the stream has marked its end. Anything after that is ignored."""

    def feed(self, data: bytes) -> Sequence[bytes]:
        """The payloads that end in this read: chunks as JSON, and an error as `{"error": ...}`.

        Raises `UpstreamInvalid` for data that is not in this wire's format. If good chunks came
        in the same read, it returns those first and raises on the next call.
        """
        ...


@runtime_checkable
class Unwrapping(Protocol):
    """A decoder of events that come wrapped in frames. Callers who speak their format get them
    without the frames."""

    def take_passed(self) -> bytes:
        """What was unwrapped since the last call, as the caller gets it."""
        ...


class Wire(Protocol):
    """The format of a vendor's requests and answers. All but `authorize` are pure functions.

    A decoded answer must have the shape of a chat completion. It need not conform: one place
    brings all answers to the specification afterwards.
    """

    @property
    def format(self) -> str:
        """The name of the format. Answers in any format but `CHAT` must be translated."""
        ...

    @property
    def names_deployments(self) -> bool:
        """Whether models are deployments, whose names their owner chooses."""
        ...

    @property
    def stream_types(self) -> Sequence[str]:
        """How a stream's content type may begin. The first is asked for."""
        ...

    def url(self, base_url: str, *, model: str, stream: bool) -> str:
        """The URL to post a call to."""
        ...

    def authorize(
        self, *, method: str, url: str, headers: dict[str, str], body: bytes, key: str | None
    ) -> dict[str, str]:
        """The headers of a request, with its key or signature."""
        ...

    def encode(self, envelope: Envelope, *, model: str) -> Encoded:
        """A call in the vendor's format. Raises `InvalidRequest` for what it cannot express."""
        ...

    def decode(self, body: bytes, *, prepared: Prepared) -> bytes:
        """A whole answer as a chat completion. Raises `UpstreamInvalid`."""
        ...

    def open_stream(self, prepared: Prepared) -> StreamDecoder:
        """Return a decoder for the answer to one call."""
        ...

    def read_error(self, body: bytes) -> ErrorWords:
        """Read an error body of any shape."""
        ...

    def models_url(self, base_url: str) -> str:
        """The URL of the first page of the list of models."""
        ...

    def read_models(self, body: bytes) -> ModelPage:
        """Read a page of that list. Raises `ValueError`, `KeyError`, `TypeError` or
        `AttributeError` if the body is not such a page."""
        ...


class Ability(Protocol):
    """Something that a vendor does beside chat completions, such as embeddings.

    It belongs to the vendor's wire, which has the key, the headers and the errors.
    """

    @property
    def format(self) -> str:
        """The name of the format of the callers whose requests it takes."""
        ...

    @property
    def stream_types(self) -> Sequence[str]:
        """How a stream's content type may begin. The first is asked for."""
        ...

    @property
    def passes(self) -> bool:
        """Whether its answers are in that format, so that callers get the vendor's own bytes."""
        ...

    def takes(self, model: str) -> bool:
        """Whether it answers for a model. If not, a chat completion does, if it can."""
        ...

    def url(self, base_url: str, *, model: str, stream: bool) -> str:
        """The URL to post a request to."""
        ...

    def encode(self, envelope: Envelope, *, model: str) -> Encoded:
        """The vendor's request. Raises `InvalidRequest` for what it cannot express."""
        ...

    def decode(self, body: bytes, *, prepared: Prepared) -> bytes:
        """A whole answer: as a chat completion, or as the forwarded answer of that format.

        Raises `UpstreamInvalid`.
        """
        ...

    def open_stream(self, prepared: Prepared) -> StreamDecoder:
        """Return a decoder for a stream of chat completion chunks."""
        ...


class Frames(Protocol):
    """Writes one stream for a caller."""

    def write(self, chunks: Sequence[bytes]) -> bytes:
        """The frames for these chunks. There may be none, of either."""
        ...

    def end(self) -> bytes:
        """The frames after the last chunk."""
        ...


@runtime_checkable
class FailingFrames(Protocol):
    """Frames that tell of a failure by what they have written. Others have the face do it."""

    def fail(self, error: BriggsError, *, passed: bytes) -> bytes:
        """The last frames. `passed` is what went to the caller in their place, of the vendor's."""
        ...


class Face(Protocol):
    """The format that a caller speaks: the other side of a wire. All are pure functions.

    A call is a chat completion on its way through Briggs. A face translates to and from that,
    unless the vendor speaks the same format: then the caller gets the vendor's own bytes.

    What a face writes depends on nothing but the record of the call. So an answer can be written
    again later, byte for byte.
    """

    @property
    def kind(self) -> CallKind:
        """The kind of its calls on the record."""
        ...

    @property
    def stream_type(self) -> bytes:
        """The content type of its streams."""
        ...

    @property
    def id_headers(self) -> Sequence[bytes]:
        """The headers in which its clients read the id of a call."""
        ...

    @property
    def passed_headers(self) -> Sequence[str]:
        """The headers that go on to a vendor who speaks the same format, in lower case."""
        ...

    @property
    def names(self) -> Mapping[str, str]:
        """What its callers call the members of a chat completion that have another name here."""
        ...

    def read_request(self, body: bytes) -> Envelope:
        """Read a request as one for a chat completion. Raises `InvalidRequest`.

        If its format is another, it is also kept as it came, in `original`.
        """
        ...

    def write_answer(self, body: bytes, *, envelope: Envelope, completion: Completion) -> bytes:
        """Write a whole answer, given as a `CreateChatCompletionResponse`."""
        ...

    def open_stream(self, envelope: Envelope, completion: Completion) -> Frames:
        """Return a writer for the stream that answers a request."""
        ...

    def write_error(self, error: BriggsError, *, id: str, streamed: bool) -> bytes:
        """Write the error of the call `id`: as a body, or as the last frame of a stream."""
        ...


@runtime_checkable
class Refreshing(Protocol):
    """A wire with credentials that it must find, and find again when they expire."""

    async def refresh(self, *, key: str | None) -> None:
        """Get ready for the next request. Raises `ProviderNotReady`."""
        ...
