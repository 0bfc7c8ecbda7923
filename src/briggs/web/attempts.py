"""Slows down whoever tries keys at the sign-in page."""

from __future__ import annotations

import time

from starlette.requests import Request

from briggs.types.errors import TooManyAttempts

FAILURES_MAX = 10
WITHIN_S = 60.0
CALLERS_MAX = 1000

_Caller = tuple[str, str]


class Attempts:
    """The failed attempts of each caller in the last `WITHIN_S`."""

    def __init__(self) -> None:
        self._failures: dict[_Caller, list[float]] = {}

    def check(self, request: Request) -> None:
        """Raises `TooManyAttempts` if this caller has failed too often."""
        oldest = time.monotonic() - WITHIN_S
        failures = [at for at in self._failures.get(_name(request), ()) if at > oldest]
        if len(failures) >= FAILURES_MAX:
            wait_s = max(1, round(failures[-FAILURES_MAX] - oldest))
            raise TooManyAttempts(
                f"Too many wrong keys were tried. Wait {wait_s} s, then try again.",
                headers={"retry-after": str(wait_s)},
            )

    def note_failure(self, request: Request) -> None:
        """Count a failed attempt."""
        name = _name(request)
        failures = [*self._failures.pop(name, []), time.monotonic()]
        # The caller who failed last is last, so the first is the one to forget.
        self._failures[name] = failures[-FAILURES_MAX:]
        if len(self._failures) > CALLERS_MAX:
            self._failures.pop(next(iter(self._failures)))


def _name(request: Request) -> _Caller:
    """The caller's address, and what a proxy says about who is behind it.

    A caller can make the second up, and then be counted as several. Keys are too long to be
    guessed even so. Without it, one caller could lock out everyone behind the same proxy.
    """
    behind = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()[:50]
    return request.client.host if request.client else "", behind
