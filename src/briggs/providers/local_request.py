"""What can be asked of llama.cpp, and how it is said."""

from __future__ import annotations

import msgspec

from briggs.types.envelope import Envelope
from briggs.types.errors import InvalidRequest, UnsupportedParameter

_UNREADABLE = ("image_url", "input_audio", "file", "video_url", "input_video", "audio_url")


def require_slots(envelope: Envelope, *, name: str, parallel: int) -> None:
    """Raises `InvalidRequest` for more choices than a model writes at once."""
    if envelope.choices_asked > parallel:
        refusal = InvalidRequest(
            f"{name} writes at most {parallel} choices at once: ask for n = {parallel}, or set "
            "parallel in [local] of briggs.toml higher.",
            param="n",
        )
        refusal.code = "integer_above_max_value"
        raise refusal


def require_text(envelope: Envelope, *, name: str) -> None:
    """Raises `InvalidRequest` for a part of a message that is not text."""
    for place, message in enumerate(envelope.values["messages"]):
        parts = message.content if isinstance(message.content, list) else ()
        for number, part in enumerate(parts):
            if part.get("type") in _UNREADABLE:
                path = f"messages[{place}].content[{number}]"
                raise InvalidRequest(
                    f"{name} reads text only, and '{path}' is of type '{part['type']}': "
                    "leave it out, or ask another model.",
                    param=path,
                )


def require_tools(template: str | None, *, name: str) -> None:
    """Raises `UnsupportedParameter` if a model never learns that there are tools to call."""
    if template is None or "tools" not in template:
        raise UnsupportedParameter(
            f"{name} cannot be made to call a tool, since its chat template has no place for "
            "tools: leave tool_choice out, or ask another model.",
            param="tool_choice",
        )


def translate(envelope: Envelope) -> Envelope:
    """A request as llama.cpp reads it.

    To it `top_logprobs: 0` means no logprobs at all (llama.cpp b10549, seen 2026-11-23); the
    one alternative that is asked for instead is not passed on, like all that nobody asked for.
    """
    if not envelope.values.get("logprobs") or envelope.values.get("top_logprobs") != 0:
        return envelope
    members = {**envelope.members, "top_logprobs": msgspec.Raw(b"1")}
    return Envelope(body=envelope.body, members=members, values=envelope.values)
