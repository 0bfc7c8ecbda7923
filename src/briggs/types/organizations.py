"""Organizations: the owners of completions, tasks and keys."""

from __future__ import annotations

import re

import msgspec

from briggs.types.completions import create_id, current_time_us

DEFAULT = "default"
"""The id and the slug of the first organization. Its administrators manage the others."""

SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class Organization(msgspec.Struct, kw_only=True):
    """A team. Other organizations cannot see its data. Its `id` and `slug` never change."""

    id: str = msgspec.field(default_factory=create_id)
    slug: str
    """Lower-case letters, digits and hyphens, so that it fits into a URL."""
    name: str
    created_at: int = msgspec.field(default_factory=current_time_us)
    """Unix time in microseconds."""
