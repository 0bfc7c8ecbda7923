"""Test runs: evaluations that ran as tests elsewhere, and the reports that they sent."""

from __future__ import annotations

import msgspec

from briggs.types.completions import create_id, current_time_us

UPLOAD_S = 3600
"""How long a report may take to come."""


class TestRun(msgspec.Struct, kw_only=True):
    """A run of tests. Its report comes later, from a program that has no key by then."""

    id: str = msgspec.field(default_factory=create_id)
    organization_id: str
    name: str
    created_at: int = msgspec.field(default_factory=current_time_us)
    """Unix time in microseconds."""
    upload_hash: str
    """Of the secret in the address that the report is sent to."""
    upload_expires_at: int
    reported_at: int | None = None
    """When the newest report came."""
