"""Speaks Cohere's wire, version 2 of its chat API.

https://docs.cohere.com/reference/chat
"""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from briggs.types.envelope import Envelope
from briggs.wires.base import Encoded, ModelPage, Prepared
from briggs.wires.chunks import decode_answer
from briggs.wires.cohere.answer import CohereReader
from briggs.wires.cohere.request import encode_request
from briggs.wires.events import EventStream, split_events
from briggs.wires.openai.wire import OpenAIWire

# The largest page size that Cohere accepts.
_MODELS_MAX = 1000


class CohereWire(OpenAIWire):
    """`POST {base_url}/chat`, as Cohere has it."""

    format = "cohere"

    def url(self, base_url: str, *, model: str, stream: bool) -> str:
        return f"{base_url}/chat"

    def encode(self, envelope: Envelope, *, model: str) -> Encoded:
        return encode_request(envelope, model=model)

    def decode(self, body: bytes, *, prepared: Prepared) -> bytes:
        return decode_answer(body, CohereReader(prepared).read_whole, vendor="Cohere")

    def open_stream(self, prepared: Prepared) -> EventStream:
        return EventStream(CohereReader(prepared), split=split_events(), vendor="Cohere")

    def models_url(self, base_url: str) -> str:
        # Version 2 has no list of models.
        return f"{base_url.removesuffix('/v2')}/v1/models?endpoint=chat&page_size={_MODELS_MAX}"

    def read_models(self, body: bytes) -> ModelPage:
        page = msgspec.json.decode(body)
        models = [{"id": model["name"], "owned_by": "cohere"} for model in page["models"]]
        token = page.get("next_page_token")
        return ModelPage(models, f"&page_token={quote(token, safe='')}" if token else "")
