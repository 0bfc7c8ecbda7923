"""Sessions: completions that belong together, such as the turns of one conversation."""

from __future__ import annotations

import msgspec

from briggs.types.completions import create_id, current_time_us


class Session(msgspec.Struct, kw_only=True):
    """A session, and the totals of its completions.

    It is made when it is first heard of, or explicitly. Its id need be unique within its
    organization only, since clients make ids of their own.
    """

    id: str = msgspec.field(default_factory=create_id)
    organization_id: str
    created_at: int = msgspec.field(default_factory=current_time_us)
    """Unix time in microseconds."""
    completions: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    """Of the completions whose tokens their provider counted; estimates are not in it."""
    completion_tokens: int = 0
    cost_usd: float | None = None
    """Of the same, where the price is known; None where that is none of them."""
    estimated_tokens: int = 0
    """Of prompts and completions whose tokens were estimated."""
    estimated_cost_usd: float | None = None
    duration_ms: float = 0
    """The sum of the completions' own durations."""
    last_completion_at: int | None = None
    """When the newest one began; Unix time in microseconds."""
