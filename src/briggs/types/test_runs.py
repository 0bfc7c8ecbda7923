"""Test runs: evaluations that ran elsewhere as tests, and their reports."""

from __future__ import annotations

import msgspec

from briggs.types.completions import create_id, current_time_us

UPLOAD_S = 3600
"""How long after its creation a run accepts a report."""


class TestRun(msgspec.Struct, kw_only=True):
    """A run of tests. Its report comes later, from a program without a key."""

    id: str = msgspec.field(default_factory=create_id)
    organization_id: str
    name: str
    created_at: int = msgspec.field(default_factory=current_time_us)
    """Unix time in microseconds."""
    upload_hash: str
    """The hash of the secret in the report's upload address."""
    upload_expires_at: int
    reported_at: int | None = None
    """When the newest report arrived."""
