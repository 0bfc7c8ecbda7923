"""Alerts: their states, and what is sent when a state changes."""

from __future__ import annotations

import msgspec


class AlertState(msgspec.Struct, kw_only=True):
    """Whether an alert fires."""

    organization_id: str
    name: str
    is_firing: bool
    since_at: int
    """When it began to fire or was resolved, in Unix microseconds."""
    value: float
    """The figure at that time."""


class Delivery(msgspec.Struct, kw_only=True):
    """A message to one webhook or one address. It is kept until it has arrived."""

    id: str
    """The same for each attempt, so that a receiver can tell repetitions."""
    organization_id: str
    webhook: str | None = None
    """The webhook's name in the file."""
    email: str | None = None
    """The address, if it goes by mail."""
    body: str
    """JSON."""
    created_at: int
    """Unix time in microseconds."""
    attempts: int = 0
    next_at: int
    """When it is tried next, in Unix microseconds."""
    failure: str | None = None
    """Why the last attempt failed."""
