"""Speaks Gemini's wire, `generateContent`.

https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import quote

import msgspec

from briggs.types import json
from briggs.types.envelope import Envelope
from briggs.wires.addresses import quote_model
from briggs.wires.base import Encoded, ErrorWords, ModelPage, Prepared
from briggs.wires.chunks import MALFORMED, decode_answer
from briggs.wires.events import EventStream, split_events
from briggs.wires.gemini.answer import GeminiReader, describe_error
from briggs.wires.gemini.request import encode_request
from briggs.wires.openai.wire import read_error

# The largest page size that Gemini accepts.
_MODELS_MAX = 1000


_RETRY_AFTER_MAX_S = 604_800


class GeminiWire:
    """`POST {base_url}/models/{model}:generateContent`."""

    format = "gemini"
    names_deployments = False
    stream_types = ("text/event-stream",)

    def url(self, base_url: str, *, model: str, stream: bool) -> str:
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"{base_url}/{place_model(model)}:{method}"

    def authorize(
        self, *, method: str, url: str, headers: dict[str, str], body: bytes, key: str | None
    ) -> dict[str, str]:
        return headers if key is None else {**headers, "x-goog-api-key": key}

    def encode(self, envelope: Envelope, *, model: str) -> Encoded:
        return encode_request(envelope, model=model)

    def decode(self, body: bytes, *, prepared: Prepared) -> bytes:
        return decode_answer(body, GeminiReader(prepared).read, vendor="Gemini")

    def open_stream(self, prepared: Prepared) -> EventStream:
        return EventStream(GeminiReader(prepared), split=split_events(), vendor="Gemini")

    def read_error(self, body: bytes) -> ErrorWords:
        try:
            value = json.decode(body)
            # If Gemini refuses a stream before it begins, the error is in a list.
            error = (value[0] if isinstance(value, list) else value)["error"]
            reason = _find(error, "reason")
            return ErrorWords(
                describe_error(error),
                code=reason or error["status"],
                retry_after_s=_read_seconds(_find(error, "retryDelay")),
                # Google answers an unknown key with 400, not 401.
                refuses_key=reason == "API_KEY_INVALID",
            )
        except MALFORMED:
            return read_error(body)

    def models_url(self, base_url: str) -> str:
        return f"{base_url}/models?pageSize={_MODELS_MAX}"

    def read_models(self, body: bytes) -> ModelPage:
        page = msgspec.json.decode(body)
        models = [
            {"id": model["name"].removeprefix("models/"), "owned_by": "google"}
            # Google leaves out empty members.
            for model in (page["models"] if page else ())
            if "generateContent" in model.get("supportedGenerationMethods", ["generateContent"])
        ]
        token = page.get("nextPageToken")
        return ModelPage(models, f"&pageToken={quote(token, safe='')}" if token else "")


def place_model(model: str) -> str:
    """A model's collection and name, as parts of an address."""
    collection, _, name = model.rpartition("/")
    if collection not in ("models", "tunedModels"):
        collection, name = "models", model
    return f"{collection}/{quote_model(name)}"


def _find(error: dict[str, Any], name: str) -> Any:
    """A member of an error's details: `reason`, such as `API_KEY_INVALID`, or `retryDelay`."""
    return next((detail[name] for detail in error.get("details", ()) if name in detail), None)


def _read_seconds(duration: str | None) -> int | None:
    if duration is None:
        return None
    return math.ceil(min(max(float(duration.removesuffix("s")), 0), _RETRY_AFTER_MAX_S))
