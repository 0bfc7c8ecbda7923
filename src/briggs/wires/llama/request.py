"""Checks and translates requests for llama.cpp."""

from __future__ import annotations

import msgspec

from briggs.types.envelope import Envelope
from briggs.types.errors import InvalidRequest, UnsupportedParameter

_COUNT_MAX = 2**31 - 1
_UNREADABLE = ("image_url", "input_audio", "file", "video_url", "input_video", "audio_url")


def require_slots(envelope: Envelope, *, name: str, parallel: int) -> None:
    """Raise `InvalidRequest` for more choices than a model writes at once."""
    if envelope.choices_asked > parallel:
        refusal = InvalidRequest(
            f"{name} writes at most {parallel} choices at once: set n to {parallel} or less, or "
            "raise parallel in [local] of briggs.toml.",
            param="n",
        )
        refusal.code = "integer_above_max_value"
        raise refusal


def require_counts(envelope: Envelope) -> None:
    """Raise `InvalidRequest` for a count that llama.cpp would read as another."""
    for name in ("max_completion_tokens", "max_tokens"):
        if (envelope.values.get(name) or 0) > _COUNT_MAX:
            refusal = InvalidRequest(
                f"Invalid value for '{name}': it must be at most {_COUNT_MAX}.", param=name
            )
            refusal.code = "integer_above_max_value"
            raise refusal


def require_text(envelope: Envelope, *, name: str) -> None:
    """Raise `InvalidRequest` for a part of a message that is not text."""
    for place, message in enumerate(envelope.values["messages"]):
        parts = message.content if isinstance(message.content, list) else ()
        for number, part in enumerate(parts):
            if part.get("type") in _UNREADABLE:
                path = f"messages[{place}].content[{number}]"
                raise InvalidRequest(
                    f"{name} reads text only, but '{path}' is of type '{part['type']}': "
                    "leave it out, or use another model.",
                    param=path,
                )


def require_tools(template: str | None, *, name: str) -> None:
    """Raise `UnsupportedParameter` if a model's template cannot show it any tools."""
    if template is None or "tools" not in template:
        raise UnsupportedParameter(
            f"{name} cannot be forced to call a tool, since its chat template has no place for "
            "tools: leave tool_choice out, or use another model.",
            param="tool_choice",
        )


def translate(envelope: Envelope) -> Envelope:
    """Translate a request for llama.cpp.

    llama.cpp reads `top_logprobs: 0` as no logprobs at all (b10549, seen 2026-11-23), and gives 20
    alternatives if nothing is asked. So we ask for one, and leave it out of the answer.
    """
    if not envelope.values.get("logprobs") or envelope.values.get("top_logprobs"):
        return envelope
    members = {**envelope.members, "top_logprobs": msgspec.Raw(b"1")}
    return msgspec.structs.replace(envelope, members=members)
