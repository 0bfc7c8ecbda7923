"""A completion in Log10's format, which logging and feedback queues use."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET

from briggs.types.completions import CallKind
from briggs.types.json import Object


class LoggedCompletion(Object):
    """One call: its request, its response, and the caller's tags and session."""

    id: str
    organization_id: str | None = None
    status: Literal["started", "finished", "failed"] | None = None
    kind: CallKind | Literal["prompt"] | None = None
    created_at: str | None = None
    """ISO 8601."""
    created_at_ms: int | None = None
    """Unix time in milliseconds."""
    request: Any = UNSET
    response: Any = UNSET
    tags: list[str] = msgspec.field(default_factory=list)
    session_id: str | None = None
    failure_kind: str | None = None
    failure_reason: str | None = None
