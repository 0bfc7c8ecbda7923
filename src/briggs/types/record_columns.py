"""A completion as the columns of a table, which Parquet files and the lake have in common."""

from __future__ import annotations

from typing import Any

from briggs.types import json
from briggs.types.completions import Completion

TEXTS = (
    *("id", "status", "kind", "source", "provider", "model", "response_model", "response_id"),
    *("system_fingerprint", "session_id", "user", "usage_source", "price_source", "key_id"),
    *("retry_of", "failure_kind", "failure_reason"),
)
INTEGERS = (
    *("seed", "prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens"),
    *("cache_write_tokens", "reasoning_tokens", "retry_count", "http_status"),
)
FLOATS = ("cost_usd", "duration_ms", "first_token_ms", "caller_left_ms", "p_mean", "p_least")
LISTS = ("tags", "finish_reasons", "violates", "dropped")
JSON = ("metadata", "attempts", "fixes", "call_site")
BODIES = ("request", "response", "received")


def write_columns(completion: Completion) -> dict[str, Any]:
    """The values of all columns but the bodies. `created_at` is in microseconds.

    What a column cannot express is left out: halves of characters, and numbers of more than 64
    bits.
    """
    plain = ("created_at", "stream", *FLOATS)
    row: dict[str, Any] = {name: getattr(completion, name) for name in plain}
    row |= {name: _fit_integer(getattr(completion, name)) for name in INTEGERS}
    row |= {name: fit(getattr(completion, name)) for name in TEXTS}
    row |= {name: [fit(each) for each in getattr(completion, name)] for name in LISTS}
    row |= {name: encode(getattr(completion, name)) for name in JSON}
    return row


def encode(value: Any) -> str:
    """A value as JSON, without halves of characters."""
    return json.encode(value).decode("utf-8", "replace")


def fit(text: str | None) -> str | None:
    """A text without halves of characters, which UTF-8 cannot express."""
    return None if text is None else text.encode("utf-8", "replace").decode()


def _fit_integer(value: int | None) -> int | None:
    """A whole number of 64 bits. None for a larger one, such as some callers' seeds."""
    return value if value is not None and -(2**63) <= value < 2**63 else None
