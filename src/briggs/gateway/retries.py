"""Which call a caller tries again: one of the same key and body that did not end well.

SDKs send the same bytes again, and say in `x-stainless-retry-count` that they do, but not of
which call. What is remembered is lost with the process: such a retry is then linked to nothing.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

from briggs.types.completions import Completion

REMEMBERED_S = 300
REMEMBERED_MAX = 4096


class Retries:
    """The calls of the last minutes that may come again."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: dict[bytes, tuple[str, float]] = {}
        """The first try and until when it counts, by key and body, the oldest first."""

    def remember(self, completion: Completion, *, key_id: str) -> None:
        """Note a call that failed, or whose answer may not have arrived."""
        place = _place(completion, key_id)
        self._failed.pop(place, None)
        if len(self._failed) >= REMEMBERED_MAX:
            del self._failed[next(iter(self._failed))]
        first = completion.retry_of or completion.id
        self._failed[place] = (first, self._clock() + REMEMBERED_S)

    def link(self, completion: Completion, *, key_id: str) -> None:
        """Write into a retry the id of its first try, if that is still known."""
        first, until = self._failed.pop(_place(completion, key_id), (None, 0.0))
        if self._clock() < until:
            completion.retry_of = first


def _place(completion: Completion, key_id: str) -> bytes:
    digest = hashlib.blake2b(key_id.encode(), digest_size=16)
    digest.update(completion.request)
    return digest.digest()
