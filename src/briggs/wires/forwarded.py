"""Faces whose calls pass to a vendor as they are, because no chat completion can say them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from briggs.types.completions import CallKind, Completion
from briggs.types.envelope import Envelope, Original, open_members
from briggs.types.errors import BriggsError, InvalidRequest
from briggs.wires.base import Frames


class Forwarded(msgspec.Struct, kw_only=True):
    """An answer that was passed on, and what it says."""

    body: bytes
    """As its caller gets it."""
    kept: bytes | None = None
    """The same without what is too large for the record. None if nothing is."""
    id: str | None = None
    model: str | None = None
    prompt_tokens: int | None = None
    total_tokens: int | None = None
    usage: dict[str, Any] = {}
    """As the vendor wrote it."""


class ForwardedFace:
    """A face for one kind of call. The vendor needs an ability of the same name."""

    kind: CallKind
    id_headers: Sequence[bytes] = (b"x-request-id",)
    passed_headers: Sequence[str] = ()
    names: Mapping[str, str] = {}
    stream_type = b"application/json"
    required: Sequence[str] = ("model",)
    """The members that every request has."""
    absence: str
    """What to say of a provider without the ability, after its name."""

    def read_request(self, body: bytes) -> Envelope:
        envelope = open_members(body, required=self.required)
        # It is never streamed, whatever the request says.
        envelope.values.pop("stream", None)
        self.check(envelope)
        refusal = InvalidRequest(self.absence, param="model")
        envelope.original = Original(self.kind, body, refusal=refusal)
        return envelope

    def check(self, envelope: Envelope) -> None:
        """Check a request. Raises `InvalidRequest`."""
        raise NotImplementedError

    def read_answer(self, body: bytes, *, envelope: Envelope) -> Forwarded:
        """Check an answer, and mend what can be. Raises `UpstreamInvalid`."""
        raise NotImplementedError

    def write_answer(self, body: bytes, *, envelope: Envelope, completion: Completion) -> bytes:
        return body

    def open_stream(self, envelope: Envelope, completion: Completion) -> Frames:
        raise AssertionError("a forwarded call is never streamed")

    def write_error(self, error: BriggsError, *, id: str, streamed: bool) -> bytes:
        return error.encode()
