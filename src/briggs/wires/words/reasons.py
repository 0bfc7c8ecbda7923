"""Vendors' finish reasons, with the specification's word for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from briggs.types.response import FinishReason

_SAME_AS: dict[str, str] = {
    **{reason.value: reason.value for reason in FinishReason},
    **dict.fromkeys(
        (
            *("complete", "end", "end_turn", "endoftext", "eos", "eos_token"),
            *("finish_reason_stop", "pause_turn", "stop_sequence"),
        ),
        "stop",
    ),
    **dict.fromkeys(
        (
            *("finish_reason_max_tokens", "max_length", "max_output_tokens", "max_tokens"),
            *("model_context_window_exceeded", "model_length"),
        ),
        "length",
    ),
    **dict.fromkeys(("tool_call", "tool_use"), "tool_calls"),
    **dict.fromkeys(
        (
            *("blocklist", "content_filtered", "guardrail_intervened", "language", "model_armor"),
            *("image_prohibited_content", "image_recitation", "image_safety"),
            *("prohibited_content", "recitation", "refusal", "safety", "sensitive", "spii"),
        ),
        "content_filter",
    ),
}
"""Vendors' finish reasons in lower case, with the specification's word for each."""

_FAILURES = frozenset(
    {
        *("abort", "aborted", "cancelled", "error", "escalation", "load", "network_error"),
        *("image_other", "insufficient_system_resource", "no_image", "other", "overloaded_error"),
        *("malformed_function_call", "malformed_model_output", "malformed_response"),
        *("malformed_tool_use", "missing_thought_signature", "timeout", "too_many_tool_calls"),
        *("unexpected_tool_call", "unload"),
    }
)
"""Finish reasons that mean that the answer failed."""


def find_finish_reason(native: str) -> str | None:
    """The specification's word for a vendor's reason. None for a failure or an unknown one."""
    return _SAME_AS.get(native.lower())


def is_failure(native: str) -> bool:
    """Whether a vendor's reason means that the answer failed."""
    return native.lower() in _FAILURES


def find_native_reason(choice: Mapping[str, Any]) -> str | None:
    """A known reason from another member of a choice, if there is one."""
    for name in ("native_finish_reason", "stop_reason", "done_reason"):
        reason = choice.get(name)
        if isinstance(reason, str) and (reason.lower() in _SAME_AS or reason.lower() in _FAILURES):
            return reason
    return None
