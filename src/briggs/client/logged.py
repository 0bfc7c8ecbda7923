"""A completion in Log10's words, in which calls answered elsewhere are told and queues served."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET

from briggs.types.wire import Object


class LoggedCompletion(Object):
    """One call: what was asked, what was answered, and what its caller said of it."""

    id: str
    organization_id: str | None = None
    status: Literal["started", "finished", "failed"] | None = None
    kind: Literal["chat", "completion", "prompt"] | None = None
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
