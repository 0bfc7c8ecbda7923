"""When a target is tried again, and which target is tried next."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.gateway.attempts import ask_in_order, back_off, find_pause, read_retry_after
from briggs.gateway.cooling import Cooling
from briggs.gateway.order import Share, Targets
from briggs.gateway.timeouts import Policy
from briggs.providers.base import Provider, Target
from briggs.record.prices import Prices
from briggs.record.record import Call
from briggs.settings import CoolDownSettings
from briggs.types.completions import Completion
from briggs.types.envelope import open_envelope
from briggs.types.errors import (
    BriggsError,
    ProviderNotReady,
    UnsupportedParameter,
    UpstreamInvalid,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamTruncated,
    UpstreamUnreachable,
)
from briggs.wires.base import Prepared
from briggs.wires.openai.face import CHAT_FACE

ENVELOPE = open_envelope(b'{"model": "fast", "messages": [{"role": "user", "content": "hi"}]}')


def rejected(status: int, message: str = "no", **headers: str) -> UpstreamRejected:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return UpstreamRejected(message, upstream_status=status, headers=named)


class FakeProvider:
    """A provider that answers or fails as its list says, call by call."""

    def __init__(self, name: str, *outcomes: str | BriggsError) -> None:
        self.name = name
        self.outcomes = list(outcomes)
        self.asked = 0

    def prepare(self, envelope: Any, *, model: str) -> Prepared:
        if isinstance(self.outcomes[0], UnsupportedParameter):
            raise self.outcomes[0]
        return Prepared(envelope, model, b"{}")

    async def answer(self) -> str:
        self.asked += 1
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BriggsError):
            raise outcome
        return outcome


async def ask(*providers: FakeProvider, patience: bytes = b"", **policy: Any) -> tuple[str, Call]:
    """The first target's answer, and the call that it belongs to."""
    completion = Completion(organization_id="default", model="fast")
    call = Call(ENVELOPE, completion, Prices(), CHAT_FACE, patience=patience)
    shares: Any = [Share(each.name, Target(each, "m")) for each in providers]  # type: ignore[arg-type]
    targets = Targets(shares, Policy(**policy), Cooling(CoolDownSettings()))

    def ask_one(provider: Provider, prepared: Prepared) -> Any:
        assert isinstance(provider, FakeProvider)
        return provider.answer()

    answer = await ask_in_order(
        call, targets, ask=ask_one, is_filtered=lambda answer: answer.startswith("filtered")
    )
    return answer, call


@given(
    number=st.integers(1, 10_000),
    base=st.floats(0.001, 100),
    longest=st.floats(0.001, 100),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_back_off(number: int, base: float, longest: float, chance: float) -> None:
    """A pause doubles with each attempt up to the longest, and chance takes off up to half."""
    policy = Policy(backoff_s=base, backoff_max_s=longest)
    expected = min(base * 2.0 ** min(number - 1, 100), longest)
    assert expected / 2 <= back_off(number, policy=policy, chance=chance) <= expected


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": formatdate(0)}, 0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "7"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, milliseconds and dates are understood. Anything else is ignored."""
    assert read_retry_after(headers) == seconds


def test_retry_after_a_date() -> None:
    """A future date becomes the number of seconds until then."""
    found = read_retry_after({"retry-after": formatdate(time.time() + 100, usegmt=True)})
    assert found is not None
    assert 90 < found <= 100


@given(st.text())
def test_any_retry_after(value: str) -> None:
    """Any value of the header gives seconds or None."""
    for name in ("retry-after", "retry-after-ms"):
        found = read_retry_after({name: value})
        assert found is None or found >= 0


@pytest.mark.parametrize(
    ("error", "is_retried"),
    [
        *[(rejected(status), True) for status in (408, 409, 429, 500, 502, 503, 504, 529)],
        *[(rejected(status), False) for status in (200, 400, 401, 403, 404, 413, 422)],
        (UpstreamUnreachable("x"), True),
        (UpstreamTimeout("x"), True),
        (UpstreamInvalid("x"), True),
        (UpstreamTruncated("x"), True),
        (rejected(500, x_should_retry="false"), False),
        (rejected(400, x_should_retry="true"), True),
        (rejected(429, retry_after="11"), False),
        (rejected(429, retry_after="10"), True),
    ],
)
def test_what_is_retried(error: Any, is_retried: bool) -> None:
    """The errors that OpenAI's clients retry are retried, within the policy's limits."""
    policy = Policy(attempts_max=2)
    assert (find_pause(error, number=1, policy=policy) is not None) == is_retried
    assert find_pause(error, number=2, policy=policy) is None


@pytest.mark.parametrize(
    "error",
    [
        *[rejected(status) for status in (200, 401, 402, 403, 404, 408, 429, 500, 503)],
        UpstreamUnreachable("x"),
        UpstreamTimeout("x"),
        UpstreamInvalid("x"),
        ProviderNotReady("x"),
        UnsupportedParameter("x"),
    ],
)
async def test_what_the_next_target_is_asked(error: BriggsError) -> None:
    """If the target failed, and not the request, the next target is tried."""
    answer, call = await ask(FakeProvider("a", error), FakeProvider("b", "fine"))
    assert (answer, call.completion.provider) == ("fine", "b")
    first, second = call.completion.attempts
    assert (first.target, first.reason) == ("a/m", error.kind)
    assert (second.target, second.status, second.reason) == ("b/m", 200, None)


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_what_nobody_else_is_asked(status: int) -> None:
    """An invalid request is not tried at another target."""
    other = FakeProvider("b", "fine")
    with pytest.raises(UpstreamRejected):
        await ask(FakeProvider("a", rejected(status)), other)
    assert other.asked == 0


async def test_several_attempts() -> None:
    """A target is tried as often as the policy says, then the next one."""
    first = FakeProvider("a", rejected(500), rejected(503), "late")
    second = FakeProvider("b", rejected(500), "fine")
    answer, call = await ask(first, second, attempts_max=2, backoff_s=0.001)
    assert answer == "fine"
    targets = [attempt.target for attempt in call.completion.attempts]
    assert targets == ["a/m", "a/m", "b/m", "b/m"]


async def test_no_pause_beyond_the_callers_patience() -> None:
    """If the caller hangs up in the pause, no other attempt starts."""
    for options in ({"patience": b"60"}, {"call_timeout_s": 60}):
        flaky = FakeProvider("a", rejected(500), "fine")
        with pytest.raises(UpstreamRejected):
            await ask(flaky, attempts_max=2, backoff_s=1000, backoff_max_s=1000, **options)
        assert flaky.asked == 1


async def test_nobody_is_asked_in_the_last_moment() -> None:
    """A call timeout that fires slightly early ends the call, not only one target."""
    other = FakeProvider("b", "fine")
    with pytest.raises(UpstreamTimeout):
        # The call may take a millisecond, and less than that is left.
        await ask(FakeProvider("a", UpstreamTimeout("x")), other, call_timeout_s=0.001)
    assert other.asked == 0


async def test_the_last_error() -> None:
    """If no target answers, the error is that of the last target that got the request."""
    unable = UnsupportedParameter("b cannot", param="n")
    with pytest.raises(UpstreamRejected, match="a broke"):
        await ask(FakeProvider("a", rejected(500, "a broke")), FakeProvider("b", unable))
    with pytest.raises(UpstreamRejected, match="a broke"):
        await ask(FakeProvider("b", unable), FakeProvider("a", rejected(500, "a broke")))
    with pytest.raises(UnsupportedParameter, match="b cannot"):
        await ask(FakeProvider("a", UnsupportedParameter("a cannot")), FakeProvider("b", unable))


async def test_fallbacks() -> None:
    """An error about the request moves on to the next target if `fallback_on` lists it."""
    for cause, words in (
        ("context_length", "maximum context length is 8192"),
        ("content_filter", "flagged by a content filter"),
    ):
        for fallback_on in ([cause], []):
            error = rejected(400, words)
            targets = FakeProvider("a", error), FakeProvider("b", "fine")
            if fallback_on:
                assert (await ask(*targets, fallback_on=fallback_on))[0] == "fine"
            else:
                with pytest.raises(UpstreamRejected):
                    await ask(*targets, fallback_on=fallback_on)


async def test_a_filtered_answer() -> None:
    """After a filtered answer, the next target is tried if `fallback_on` lists `content_filter`."""
    first, second = FakeProvider("a", "filtered"), FakeProvider("b", "fine")
    assert (await ask(first, second))[0] == "filtered"
    first, second = FakeProvider("a", "filtered"), FakeProvider("b", "fine")
    answer, call = await ask(first, second, fallback_on=["content_filter"])
    assert (answer, call.completion.provider) == ("fine", "b")
    assert [attempt.reason for attempt in call.completion.attempts] == ["content_filter", None]


async def test_a_filtered_answer_is_better_than_none() -> None:
    """If no other target answers, the caller gets the filtered answer."""
    for rest in (rejected(500), "filtered too"):
        targets = FakeProvider("a", "filtered"), FakeProvider("b", rest)
        answer, call = await ask(*targets, fallback_on=["content_filter"])
        expected = ("filtered", "a") if rest != "filtered too" else ("filtered too", "b")
        assert (answer, call.completion.provider) == expected
