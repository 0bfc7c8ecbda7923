"""Speaks Anthropic's wire: messages are turns of blocks, and answers are events of blocks.

https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import quote

import msgspec

from briggs.types.envelope import Envelope
from briggs.wires.anthropic.answer import AnthropicReader
from briggs.wires.anthropic.request import encode_request
from briggs.wires.base import Encoded, ErrorWords, ModelPage, Prepared
from briggs.wires.chunks import decode_answer
from briggs.wires.events import EventStream, split_events
from briggs.wires.openai.wire import read_error

# The last version whose requests may contain temperature, top_p and top_k. Models that do not
# support them refuse them in every version.
# https://platform.claude.com/docs/en/api/migration-2026-10-21, 2026-11-23
API_VERSION = "2023-06-01"


class AnthropicWire:
    """`POST {base_url}/messages`."""

    format = "anthropic"
    names_deployments = False
    stream_types = ("text/event-stream",)

    def url(self, base_url: str, *, model: str, stream: bool) -> str:
        return f"{base_url}/messages"

    def authorize(
        self, *, method: str, url: str, headers: dict[str, str], body: bytes, key: str | None
    ) -> dict[str, str]:
        headers.setdefault("anthropic-version", API_VERSION)
        if key is not None:
            headers["x-api-key"] = key
        return headers

    def encode(self, envelope: Envelope, *, model: str) -> Encoded:
        return encode_request(envelope, model=model)

    def decode(self, body: bytes, *, prepared: Prepared) -> bytes:
        return decode_answer(body, AnthropicReader(prepared).read_whole, vendor="Anthropic")

    def open_stream(self, prepared: Prepared) -> EventStream:
        reader = AnthropicReader(prepared)
        return EventStream(reader, split=split_events(), vendor="Anthropic")

    def read_error(self, body: bytes) -> ErrorWords:
        return read_error(body)

    def models_url(self, base_url: str) -> str:
        return f"{base_url}/models?limit=1000"

    def read_models(self, body: bytes) -> ModelPage:
        page = msgspec.json.decode(body)
        models = [
            {**model, "created": _read_time(model.get("created_at")), "owned_by": "anthropic"}
            for model in page["data"]
            if isinstance(model["id"], str)
        ]
        more = f"&after_id={quote(page['last_id'], safe='')}" if page.get("has_more") else ""
        return ModelPage(models, more)


def _read_time(text: Any) -> int:
    """Unix time in seconds; 0 if there is no time."""
    return int(datetime.fromisoformat(text).timestamp()) if text else 0
