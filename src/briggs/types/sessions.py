"""Sessions: completions that belong together, such as the turns of one conversation."""

from __future__ import annotations

import msgspec

from briggs.types.completions import create_id, current_time_us


class Session(msgspec.Struct, kw_only=True):
    """A session, and the totals of its completions.

    It is created explicitly, or by the first call that names it. Its id is unique only within
    its organization, because clients choose ids of their own.
    """

    id: str = msgspec.field(default_factory=create_id)
    organization_id: str
    created_at: int = msgspec.field(default_factory=current_time_us)
    """Unix time in microseconds."""
    completions: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    """The tokens that providers counted, without estimates."""
    completion_tokens: int = 0
    cost_usd: float | None = None
    """The cost of these tokens, if the price is known. None if no price is known."""
    estimated_tokens: int = 0
    """The estimated tokens of prompts and completions."""
    estimated_cost_usd: float | None = None
    duration_ms: float = 0
    """The sum of the completions' own durations."""
    last_completion_at: int | None = None
    """When the newest completion began: Unix time in microseconds."""
