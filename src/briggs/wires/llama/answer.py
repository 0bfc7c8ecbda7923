"""Writes the members that llama.cpp leaves out, and leaves out the alternatives that it adds."""

from __future__ import annotations

from typing import Any

import msgspec

from briggs.types import json
from briggs.types.any_json import list_objects, members


def complete_answer(body: bytes, *, top_logprobs: int) -> bytes:
    """An answer with every member that the specification requires (b10549, seen 2026-11-29)."""
    answer = _decode(body)
    choices = list_objects(answer.get("choices"))
    for choice in choices:
        if isinstance(choice.get("message"), dict):
            choice["message"].setdefault("refusal", None)
        choice.setdefault("logprobs", None)
        _complete_logprobs(choice, top_logprobs)
    return json.encode_plain(answer) if choices else body


def complete_chunk(payload: bytes, *, top_logprobs: int) -> bytes:
    """The same for a chunk, which may leave out more."""
    if b'"logprobs"' not in payload:
        return payload
    chunk = _decode(payload)
    choices = list_objects(chunk.get("choices"))
    for choice in choices:
        _complete_logprobs(choice, top_logprobs)
    return json.encode_plain(chunk) if choices else payload


def _complete_logprobs(choice: dict[str, Any], top: int) -> None:
    logprobs = choice.get("logprobs")
    if not isinstance(logprobs, dict):
        return
    for name in ("content", "refusal"):
        logprobs.setdefault(name, None)
    for token in list_objects(logprobs["content"]):
        if isinstance(token.get("top_logprobs"), list):
            token["top_logprobs"] = token["top_logprobs"][:top]


def _decode(body: bytes) -> dict[str, Any]:
    try:
        return members(json.decode(body))
    except msgspec.DecodeError:
        return {}
