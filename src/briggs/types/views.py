"""Saved views: lists of completions that an organization has named."""

from __future__ import annotations

import msgspec

from briggs.types.completions import create_id, current_time_us


class View(msgspec.Struct, kw_only=True):
    """A list under a name."""

    id: str = msgspec.field(default_factory=create_id)
    organization_id: str
    created_at: int = msgspec.field(default_factory=current_time_us)
    name: str
    state: str
    """The query of its address: filter, range, sort and columns."""
