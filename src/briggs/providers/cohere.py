"""Cohere's wire, version 2 of its chat.

https://docs.cohere.com/reference/chat
"""

from __future__ import annotations

from typing import Any

import msgspec

from briggs.providers.base import Encoded, ErrorWords, Prepared
from briggs.providers.chunks import MALFORMED, fold_chunks
from briggs.providers.cohere_answer import CohereAnswer
from briggs.providers.cohere_request import encode_request
from briggs.providers.events import EventStream
from briggs.providers.openai import read_error
from briggs.types import wire
from briggs.types.envelope import Envelope
from briggs.types.errors import UpstreamInvalid

# The largest page there is; Cohere has far fewer models.
_MODELS_MAX = 1000


class CohereWire:
    """`POST {base_url}/chat`, as Cohere has it."""

    stream_types = ("text/event-stream",)

    def url(self, base_url: str, *, model: str, stream: bool) -> str:
        return f"{base_url}/chat"

    def authorize(
        self, *, method: str, url: str, headers: dict[str, str], body: bytes, key: str | None
    ) -> dict[str, str]:
        return headers if key is None else {**headers, "authorization": f"Bearer {key}"}

    def encode(self, envelope: Envelope, *, model: str) -> Encoded:
        return encode_request(envelope, model=model)

    def decode(self, body: bytes, *, prepared: Prepared) -> bytes:
        try:
            return fold_chunks(CohereAnswer(prepared).read(wire.decode(body)))
        except MALFORMED as error:
            raise UpstreamInvalid("the upstream's answer is not one of Cohere's") from error

    def open_stream(self, prepared: Prepared) -> EventStream:
        return EventStream(CohereAnswer(prepared).add, vendor="Cohere", last="message-end")

    def read_error(self, body: bytes) -> ErrorWords:
        return read_error(body)

    def models_url(self, base_url: str) -> str:
        # The list has not moved on to version 2.
        return f"{base_url.removesuffix('/v2')}/v1/models?endpoint=chat&page_size={_MODELS_MAX}"

    def read_models(self, body: bytes) -> list[dict[str, Any]]:
        models = msgspec.json.decode(body)["models"]
        return [{"id": model["name"], "owned_by": "cohere"} for model in models]
