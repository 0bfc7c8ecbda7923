"""Search: how far the index of the words of completions is."""

from __future__ import annotations

from briggs.types.json import Object


class SearchProgress(Object):
    """How far the index of an organization's completions is."""

    is_complete: bool
    """Whether only new completions are left, which a search reads one by one."""
    share: float
    """From 0 to 1, by the time that the completions span."""
    left: int
    """Completions that are not in the index. It is counted up to 100,000."""
