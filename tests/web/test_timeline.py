"""A call's time is shown as it was spent."""

from __future__ import annotations

from briggs.types.completions import Attempt, Completion
from briggs.web.timeline import create_timeline


def test_a_stream_after_a_failed_attempt_has_three_stretches() -> None:
    """The failed attempt, the wait for the first token, and the stream fill the time."""
    completion = Completion(
        organization_id="o",
        duration_ms=1840.0,
        first_token_ms=580.0,
        attempts=[
            Attempt(target="openai/m", status=429, duration_ms=210.0, reason="rate_limit_exceeded"),
            Attempt(target="azure/m", status=200, duration_ms=370.0),
        ],
    )
    timeline = create_timeline(completion)
    assert timeline is not None and timeline.total_ms == 1840.0
    assert [
        (each.phase, each.label, each.start_ms, each.end_ms) for each in timeline.stretches
    ] == [
        ("failed", "openai 429", 0.0, 210.0),
        ("waits", "azure waits", 210.0, 580.0),
        ("answers", "first token", 580.0, 1840.0),
    ]


def test_a_failed_call_has_only_failed_stretches() -> None:
    """Without an answer, no stretch answers; an attempt without a status has its reason."""
    completion = Completion(
        organization_id="o",
        duration_ms=500.0,
        attempts=[Attempt(target="a/m", duration_ms=400.0, reason="upstream_timeout")],
    )
    timeline = create_timeline(completion)
    assert timeline is not None
    [stretch] = timeline.stretches
    assert (stretch.phase, stretch.label, stretch.end_ms) == ("failed", "a upstream_timeout", 400.0)


def test_a_call_without_times_has_no_timeline() -> None:
    """What is not known is not drawn."""
    assert create_timeline(Completion(organization_id="o")) is None
    logged = Completion(organization_id="o", duration_ms=5.0, provider="openai")
    timeline = create_timeline(logged)
    assert timeline is not None
    assert [each.label for each in timeline.stretches] == ["openai"]
