"""Targets that are skipped for a while after they failed."""

from __future__ import annotations

from briggs.gateway.cooling import RETRY_AFTER_MAX_S, Cooling
from briggs.settings import CoolDownSettings


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def create() -> tuple[Cooling, Clock]:
    clock = Clock()
    return Cooling(CoolDownSettings(failures=2, duration_s=30), clock=clock), clock


def test_failures_in_a_row() -> None:
    """A target is skipped after enough failures in a row, until its time is up."""
    cooling, clock = create()
    cooling.fail("a")
    assert cooling.skip(["a", "b"]) == ["a", "b"]
    cooling.fail("a")
    assert cooling.skip(["a", "b"]) == ["b"]
    clock.now += 30
    assert cooling.skip(["a", "b"]) == ["a", "b"]


def test_others_are_told() -> None:
    """What happens to a target is told, so that another process skips it too."""
    cooling, _ = create()
    elsewhere, _ = create()
    cooling.tell = lambda target, failed, after: elsewhere.note(
        target, failed=failed, retry_after_s=after
    )
    cooling.fail("a")
    cooling.fail("a")
    assert elsewhere.skip(["a", "b"]) == ["b"]
    cooling.succeed("a")
    assert elsewhere.skip(["a", "b"]) == ["a", "b"]


def test_an_answer_between_them() -> None:
    """An answer resets the count of failures."""
    cooling, _ = create()
    cooling.fail("a")
    cooling.succeed("a")
    cooling.fail("a")
    assert cooling.skip(["a", "b"]) == ["a", "b"]


def test_one_more_failure_after_the_time() -> None:
    """A target that fails after its time is skipped at once, and an answer resets it."""
    cooling, clock = create()
    cooling.fail("a")
    cooling.fail("a")
    clock.now += 30
    cooling.fail("a")
    assert cooling.skip(["a", "b"]) == ["b"]
    clock.now += 30
    cooling.succeed("a")
    cooling.fail("a")
    assert cooling.skip(["a", "b"]) == ["a", "b"]


def test_retry_after() -> None:
    """A target that asks for a wait is skipped for that long, but at most for an hour."""
    cooling, clock = create()
    cooling.fail("a", retry_after_s=5)
    assert cooling.skip(["a", "b"]) == ["b"]
    clock.now += 5
    assert cooling.skip(["a", "b"]) == ["a", "b"]
    cooling.fail("a", retry_after_s=1e9)
    clock.now += RETRY_AFTER_MAX_S
    assert cooling.skip(["a", "b"]) == ["a", "b"]


def test_all_are_cooling() -> None:
    """If all targets are cooling, the one whose wait ends first is tried."""
    cooling, _ = create()
    cooling.fail("a", retry_after_s=20)
    cooling.fail("b", retry_after_s=10)
    assert cooling.skip(["a", "b"]) == ["b"]
