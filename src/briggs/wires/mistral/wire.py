"""Speaks Mistral's wire: OpenAI's, except for names, ids of tool calls, and thinking as content.

https://docs.mistral.ai/api/#tag/chat
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from briggs.types import json
from briggs.types.envelope import Envelope
from briggs.wires.base import Encoded, ErrorWords, Prepared
from briggs.wires.identifiers import find_original_names
from briggs.wires.mistral.request import SIGNATURE_FORMAT, encode_request, fit_name
from briggs.wires.openai.wire import OpenAIStream, OpenAIWire, read_error
from briggs.wires.requests import list_objects

# Nearly every chunk has none of these, and is already in OpenAI's format.
_OWN_WORDS = (
    *(b'"content":[', b'"content": [', b'"model_length"'),
    *(b'"object":"error"', b'"object": "error"', b'"num_cached_tokens"'),
)


class MistralWire(OpenAIWire):
    """`POST {base_url}/chat/completions`, in Mistral's format."""

    format = "mistral"

    def encode(self, envelope: Envelope, *, model: str) -> Encoded:
        return encode_request(envelope, model=model)

    def decode(self, body: bytes, *, prepared: Prepared) -> bytes:
        return _decode(body, find_original_names(prepared.envelope, fit_name))

    def open_stream(self, prepared: Prepared) -> MistralStream:
        return MistralStream(find_original_names(prepared.envelope, fit_name))

    def read_error(self, body: bytes) -> ErrorWords:
        try:
            value = json.decode(body)
        except msgspec.DecodeError:
            return read_error(body)
        return read_error(json.encode_plain(_decode_error(value)))


class MistralStream(OpenAIStream):
    """Reads chunks, and translates Mistral's own members to OpenAI's format."""

    def __init__(self, names: Mapping[str, str]) -> None:
        super().__init__()
        self._names = names

    def feed(self, data: bytes) -> list[bytes]:
        return [_decode(payload, self._names) for payload in super().feed(data)]


def _decode(payload: bytes, names: Mapping[str, str]) -> bytes:
    """Translate an answer or a chunk to OpenAI's format, if it has anything of Mistral's own.

    `names` are the caller's names of functions that were renamed for Mistral.
    """
    has_name = bool(names) and b'"tool_calls"' in payload
    if not has_name and not any(word in payload for word in _OWN_WORDS):
        return payload
    try:
        value = json.decode(payload)
    except msgspec.DecodeError:
        return payload
    if not isinstance(value, dict):
        return payload
    if value.get("object") == "error":
        return json.encode_plain(_decode_error(value))
    for choice in list_objects(value, "choices"):
        match choice.get("finish_reason"):
            case "model_length" as reason:
                choice |= {"finish_reason": "length", "native_finish_reason": reason}
        for name in ("message", "delta"):
            if isinstance(choice.get(name), dict):
                _decode_content(choice[name])
                _decode_names(choice[name], names)
    _decode_usage(value.get("usage"))
    return json.encode_plain(value)


def _decode_content(message: dict[str, Any]) -> None:
    """Split content in parts into text and thinking. Other parts are kept as they came."""
    parts = message.get("content")
    if not isinstance(parts, list):
        return
    texts: list[str] = []
    thoughts: list[str] = []
    signatures: list[Any] = []
    others: list[Any] = []
    for part in parts:
        match part:
            case {"type": "text", "text": str(text)}:
                texts.append(text)
            case {"type": "thinking", "thinking": list(said)}:
                thoughts += [thought["text"] for thought in said if _is_text(thought)]
                others += [thought for thought in said if not _is_text(thought)]
                signatures += [part["signature"]] if part.get("signature") else []
            case _:
                others.append(part)
    message["content"] = "".join(texts) if texts else None
    if thoughts:
        message["reasoning_content"] = "".join(thoughts)
    if signatures:
        signed = {"type": "reasoning.text", "format": SIGNATURE_FORMAT}
        message["reasoning_details"] = [{**signed, "signature": one} for one in signatures]
    if others:
        message["content_parts"] = others


def _decode_names(message: dict[str, Any], names: Mapping[str, str]) -> None:
    """Give called functions their original names."""
    for call in list_objects(message, "tool_calls"):
        match call:
            case {"function": {"name": str(name)} as function} if name in names:
                function["name"] = names[name]


def _is_text(part: Any) -> bool:
    match part:
        case {"type": "text", "text": str()}:
            return True
    return False


def _decode_usage(usage: Any) -> None:
    """Copy the count of cached tokens to its place in OpenAI's format."""
    match usage:
        case {"num_cached_tokens": int(cached)} if not usage.get("prompt_tokens_details"):
            usage["prompt_tokens_details"] = {"cached_tokens": cached}


def _decode_error(error: Any) -> Any:
    """Bring an error to OpenAI's shape. Mistral has four others, two for failed validations."""
    if not isinstance(error, dict) or error.get("error"):
        return error
    details = list_objects(error.get("message"), "detail") or list_objects(error, "detail")
    if not details:
        return {"error": error}
    places = [_read_place(detail.get("loc")) for detail in details]
    words = [f"{place}: {detail.get('msg')}" for place, detail in zip(places, details, strict=True)]
    members = {"type": error.get("type"), "code": error.get("code"), "param": places[0]}
    return {"error": {"message": "; ".join(words), **members}}


def _read_place(location: Any) -> str:
    """The place of a problem in the request."""
    names = location if isinstance(location, list) else [location]
    return ".".join(map(str, names)).removeprefix("body.")
