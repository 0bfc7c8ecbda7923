"""Search: how far the index of the words of completions is."""

from __future__ import annotations

from briggs.types.json import Object

LEFT_MAX = 100_000
"""So many completions that are not in the index are counted."""


class SearchProgress(Object):
    """How far the index of an organization's completions is."""

    is_complete: bool
    """Whether only new completions are left, which a search reads one by one."""
    share: float
    """From 0 to 1, by the time that the completions span."""
    left: int
    """Completions that are not in the index. It is counted up to 100,000."""
    segments_left: int
    """Segments that are still to be summed up. Searches of very many completions look at each of
    them until then."""
