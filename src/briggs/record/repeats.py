"""Links a retry to the call that it repeats: a failed one with the same key and body.

SDKs send the same bytes again and count the retries in `x-stainless-retry-count`, but do not
name the first call. We remember failed calls in memory only, so a restart loses some links.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

from briggs.types.completions import Completion

REMEMBERED_S = 300
REMEMBERED_MAX = 4096
_PLACE_BYTES = 16


class Retries:
    """The calls of the last minutes that callers may retry."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: dict[bytes, tuple[str, float]] = {}
        """The id of the first try and when to forget it, by key and body, oldest first."""
        self.tell: Callable[[bytes], object] | None = None
        """Told of each call that is remembered, so that other processes can `note` it too."""

    def remember(self, completion: Completion, *, key_id: str) -> None:
        """Note a call that failed, or whose answer may not have arrived."""
        place, first = _place(completion, key_id), completion.retry_of or completion.id
        self._remember(place, first)
        if self.tell is not None:
            self.tell(place + first.encode())

    def note(self, told: bytes) -> bytes:
        """Remember a call of another process."""
        self._remember(told[:_PLACE_BYTES], told[_PLACE_BYTES:].decode())
        return b""

    def _remember(self, place: bytes, first: str) -> None:
        self._failed.pop(place, None)
        if len(self._failed) >= REMEMBERED_MAX:
            del self._failed[next(iter(self._failed))]
        self._failed[place] = (first, self._clock() + REMEMBERED_S)

    def link(self, completion: Completion, *, key_id: str) -> None:
        """Write the id of the first try into its retry, if it is still remembered."""
        first, until = self._failed.pop(_place(completion, key_id), (None, 0.0))
        if self._clock() < until:
            completion.retry_of = first


def _place(completion: Completion, key_id: str) -> bytes:
    digest = hashlib.blake2b(key_id.encode(), digest_size=_PLACE_BYTES)
    digest.update(completion.request)
    return digest.digest()
