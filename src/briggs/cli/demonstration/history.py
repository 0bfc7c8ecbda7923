"""Makes a month of calls from the scenes: who asked when, who answered, and what went wrong."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from briggs.cli.demonstration.answers import (
    VENDORS,
    SceneVendor,
    count_tokens,
    write_answer,
    write_question,
    write_request,
    write_response,
)
from briggs.cli.demonstration.scenes import (
    AMOUNTS,
    CITIES,
    ERRORS,
    NAMES,
    ORDERS,
    OTHERWISE,
    SCENES,
    Scene,
    SceneTurn,
)
from briggs.conform import Asked, conform_response
from briggs.record.prices import price_logged
from briggs.record.record import write_facts
from briggs.rules import check_response
from briggs.types import json
from briggs.types.completions import Attempt, Completion

ORGANIZATION = "default"
DAY_US = 86_400_000_000
DAYS = 30
PERIODS = ((1, 0.15), (2, 0.45), (DAYS, 0.4))
"""The conversations of the last days, and how many of all they are. More of them are recent."""

FAILURES = 12
SEED = 1624


class Called(NamedTuple):
    """A call of the demonstration, and how good its answer is, from 1 to 5."""

    completion: Completion
    quality: int


class RealAnswer(NamedTuple):
    """What the built-in model really answered."""

    request: bytes
    response: bytes
    duration_ms: float


def write_history(*, now: int, real: Sequence[RealAnswer] = ()) -> list[Called]:
    """All calls, in order of time. `now` is the Unix time in microseconds."""
    rng = random.Random(SEED)  # noqa: S311
    # Of its own, so that what is said does not depend on the time.
    clock = random.Random(SEED)  # noqa: S311
    calls = [
        call
        for scene in SCENES
        for _ in range(scene.times)
        for call in _play(scene, at=_choose_time(clock, now), rng=rng)
    ]
    calls += [_record_real(each, at=_choose_time(clock, now)) for each in real]
    for _ in range(FAILURES):
        calls += _fail(rng.choice(SCENES), at=_choose_time(clock, now), rng=rng)
    # In the outage, one provider timed out, and another answered or nobody did.
    outage = now - int(5.3 * 3_600e6)
    for place in range(5):
        calls += _fail(SCENES[place % 3], at=outage + place * 61_000_000, rng=rng, is_outage=True)
    calls.sort(key=lambda call: call.completion.created_at)
    return calls


def _choose_time(clock: random.Random, now: int) -> int:
    """A time of the last month: more by day than by night, on workdays, and today."""
    while True:
        [days] = clock.choices([days for days, _ in PERIODS], [share for _, share in PERIODS])
        at = now - int(clock.random() * days * DAY_US) - 60_000_000
        moment = datetime.fromtimestamp(at / 1e6, UTC)
        hour = moment.hour + moment.minute / 60
        weight = 0.12 + 0.88 * math.exp(-(((hour - 13) / 4.2) ** 2))
        if clock.random() < weight * (0.7 if moment.weekday() > 4 else 1):
            return at


def _play(scene: Scene, *, at: int, rng: random.Random) -> Iterator[Called]:
    """A conversation: a call for each turn, and one more for each turn with tools."""
    filling = _write_filling(
        order=rng.choice(ORDERS),
        amount=rng.choice(AMOUNTS),
        name=rng.choice(NAMES),
        city=rng.choice(CITIES),
        at=at,
    )
    model = _choose_model(scene, rng)
    session_id = f"session-{rng.getrandbits(64):016x}" if len(scene.turns) > 1 else None
    user = f"customer-{filling['order']}" if "support" in scene.tags else None
    messages: list[dict[str, Any]] = []
    if scene.system:
        messages.append({"role": "system", "content": scene.system})
    for number, turn in enumerate(scene.turns):
        turn = _fill(turn, filling, model=model)
        messages.append(write_question(turn, picture=scene.picture and number == 0))
        steps = [*_call_tools(turn, rng), write_answer(turn.answered, reasoning=scene.reasoning)]
        for step in steps:
            if step["role"] == "tool":
                messages.append(step)
                continue
            is_last = step is steps[-1]
            more = [write_answer(each) for each in scene.choices] if is_last else []
            called = _answer(
                scene, messages, [step, *more], model=model, at=at, rng=rng, is_last=is_last
            )
            called.completion.session_id = session_id
            called.completion.user = user
            yield called
            messages.append(step)
            at += int(1000 * (called.completion.duration_ms or 0)) + rng.randrange(400_000)
        at += rng.randrange(20, 90) * 1_000_000


def _call_tools(turn: SceneTurn, rng: random.Random) -> Iterator[dict[str, Any]]:
    for name, arguments, result in turn.tools:
        id = f"call_{rng.getrandbits(96):024x}"
        function = {"name": name, "arguments": json.encode_plain(arguments).decode()}
        yield {
            "role": "assistant",
            "content": None,
            "refusal": None,
            "tool_calls": [{"id": id, "type": "function", "function": function}],
        }
        yield {
            "role": "tool",
            "tool_call_id": id,
            "content": json.encode_plain(result).decode(),
        }


def _answer(
    scene: Scene,
    messages: Sequence[dict[str, Any]],
    answers: Sequence[dict[str, Any]],
    *,
    model: str,
    at: int,
    rng: random.Random,
    is_last: bool,
) -> Called:
    """A call that was answered, now and then only after a retry or with a mended answer."""
    vendor = VENDORS[model]
    stream = rng.random() < 0.35 and not scene.choices
    request = write_request(
        scene, messages, model=model, logprobs=vendor.has_logprobs, stream=stream
    )
    response = write_response(
        answers,
        scene=scene,
        vendor=vendor,
        created=at // 1_000_000,
        prompt_tokens=count_tokens(messages),
        logprobs=vendor.has_logprobs,
        rng=rng,
    )
    completion = Completion(
        id=_create_id(at, rng),
        organization_id=ORGANIZATION,
        created_at=at,
        status="finished",
        stream=stream,
        provider=vendor.provider,
        model=model,
        tags=list(scene.tags),
        http_status=200,
        request=json.encode_plain(request),
    )
    _time(completion, response, vendor, rng=rng)
    _try_targets(completion, vendor, rng=rng)
    _conform(completion, _spoil(response, model=model, rng=rng), request, vendor=vendor)
    quality = scene.quality if is_last else 3
    return Called(completion, min(5, max(1, quality + rng.choice((-1, 0, 0, 0, 1)))))


def _conform(
    completion: Completion,
    received: bytes,
    request: Mapping[str, Any],
    *,
    vendor: SceneVendor | None = None,
) -> None:
    """Let Briggs itself mend, judge and price what came. The vendor was asked for its own model."""
    asked = Asked(
        completion_id=completion.id,
        model=completion.model,
        choices=request.get("n", 1),
        logprobs=bool(request.get("logprobs")),
        top_logprobs=request.get("top_logprobs", 0),
    )
    conformed = conform_response(received, asked=asked)
    write_facts(completion, conformed.facts)
    price_logged(completion, conformed.facts)
    completion.fixes = conformed.fixes
    completion.response = conformed.body
    completion.received = None if conformed.body == received else received
    model = vendor.target.partition("/")[2] if vendor else completion.model
    asked_for = json.encode_plain({**request, "model": model.removeprefix("local/")})
    findings = check_response(received, request=asked_for)
    completion.violates = sorted({each.rule for each in findings if each.severity != "info"})


def _spoil(response: dict[str, Any], *, model: str, rng: random.Random) -> bytes:
    """The answer as it came: some vendors forget members or use words of their own."""
    if model == "Qwen/Qwen3-8B" and rng.random() < 0.3:
        for choice in response["choices"]:
            del choice["message"]["refusal"]
        response["usage"]["total_tokens"] += 1
    elif model == "llama-3.3-70b" and rng.random() < 0.35:
        response["created"] = float(response["created"])
        for choice in response["choices"]:
            if choice["finish_reason"] == "stop":
                choice["finish_reason"] = "eos"
    return json.encode_plain(response)


def _time(
    completion: Completion, response: Mapping[str, Any], vendor: SceneVendor, *, rng: random.Random
) -> None:
    tokens = response["usage"]["completion_tokens"]
    first = vendor.first_ms * math.exp(rng.gauss(0, 0.35))
    completion.duration_ms = first + tokens * vendor.token_ms * math.exp(rng.gauss(0, 0.2))
    if completion.stream:
        completion.first_token_ms = first


def _try_targets(completion: Completion, vendor: SceneVendor, *, rng: random.Random) -> None:
    """The attempts of a call. One in twelve was first refused elsewhere."""
    assert completion.duration_ms is not None
    if vendor.provider == "azure" and rng.random() < 0.12:
        lost = rng.uniform(900, 6_000)
        completion.attempts.append(
            Attempt(
                target=vendor.target, status=429, duration_ms=lost, reason="rate_limit_exceeded"
            )
        )
        completion.attempts.append(
            Attempt(target="openai/gpt-4.1-mini", status=200, duration_ms=completion.duration_ms)
        )
        completion.provider = "openai"
        completion.duration_ms += lost
        return
    completion.attempts.append(
        Attempt(target=vendor.target, status=200, duration_ms=completion.duration_ms)
    )


def _fail(
    scene: Scene, *, at: int, rng: random.Random, is_outage: bool = False
) -> Iterator[Called]:
    """A call that failed, and its caller's retries, of which the last may be answered."""
    code, status, reason = ERRORS[0] if is_outage else rng.choice(ERRORS)
    model = "gpt-4.1-mini" if "azure" in reason else _choose_model(scene, rng)
    vendor = VENDORS[model]
    turn = _fill(
        scene.turns[0],
        _write_filling(order=ORDERS[0], amount=AMOUNTS[0], name=NAMES[0], city=CITIES[0], at=at),
        model=model,
    )
    messages = [{"role": "user", "content": turn.asked}]
    request = write_request(
        scene, messages, model=model, logprobs=vendor.has_logprobs, stream=False
    )
    first: str | None = None
    tries = rng.choice((1, 2, 3)) if status in (429, 504) and not is_outage else 1
    for number in range(tries):
        duration = 60_000.0 if code == "upstream_timeout" else rng.uniform(80, 900)
        completion = Completion(
            id=_create_id(at, rng),
            organization_id=ORGANIZATION,
            created_at=at,
            status="failed",
            provider=vendor.provider,
            model=model,
            tags=list(scene.tags),
            retry_count=number,
            retry_of=first,
            http_status=status,
            failure_kind=code,
            failure_reason=reason.format(provider=vendor.provider),
            duration_ms=duration,
            attempts=[
                Attempt(
                    target=vendor.target,
                    status=None if status == 504 else status,
                    duration_ms=duration,
                    reason=code,
                )
            ],
            request=json.encode_plain(request),
        )
        first = first or completion.id
        yield Called(completion, 1)
        at += int(duration * 1000) + 500_000 * 2**number
    if tries == 3 and not scene.choices:
        answers = [write_answer(turn.answered)]
        called = _answer(scene, messages, answers, model=model, at=at, rng=rng, is_last=True)
        called.completion.retry_count, called.completion.retry_of = tries, first
        yield called


def _record_real(answer: RealAnswer, *, at: int) -> Called:
    """A call of the built-in model, as it was answered."""
    request = json.decode(answer.request)
    completion = Completion(
        id=_create_id(at, random.Random(at)),  # noqa: S311
        organization_id=ORGANIZATION,
        created_at=at,
        status="finished",
        provider="local",
        model="local/briggs-tiny",
        tags=["tiny"],
        http_status=200,
        duration_ms=answer.duration_ms,
        attempts=[Attempt(target="local/briggs-tiny", status=200, duration_ms=answer.duration_ms)],
        request=answer.request,
    )
    _conform(completion, answer.response, request)
    return Called(completion, 3)


def _choose_model(scene: Scene, rng: random.Random) -> str:
    models = scene.models or tuple(VENDORS)
    return rng.choices(models, [VENDORS[each].share for each in models])[0]


def _write_filling(*, order: str, amount: str, name: str, city: str, at: int) -> dict[str, str]:
    """The words in braces, with days that fit the time of the call."""
    due = _find_day(at, 30)
    return {
        "order": order,
        "amount": amount,
        "betrag": amount.replace(".", ","),
        "name": name,
        "city": city,
        "yesterday": f"{_find_day(at, -1):%-d %B}",
        "last_week": f"{_find_day(at, -6):%-d %B}",
        "in_two_weeks": f"{_find_day(at, 14):%-d %B}",
        "due": f"{due:%-d %B %Y}",
        "due_iso": f"{due:%Y-%m-%d}",
    }


def _find_day(at: int, days: int) -> datetime:
    return datetime.fromtimestamp((at + days * DAY_US) / 1e6, UTC)


def _fill(turn: SceneTurn, filling: Mapping[str, str], *, model: str) -> SceneTurn:
    """The turn with its words in braces, as this model answers it."""
    is_other = model in OTHERWISE

    def fill(value: Any) -> Any:
        if isinstance(value, str):
            return value.format(**filling)
        if isinstance(value, Mapping):
            return {name: fill(each) for name, each in value.items()}
        return [fill(each) for each in value] if isinstance(value, list) else value

    tools = [(name, fill(arguments), fill(result)) for name, arguments, result in turn.tools]
    return msgspec.structs.replace(
        turn,
        asked=fill(turn.asked),
        answered=fill(turn.otherwise or turn.answered if is_other else turn.answered),
        tools=tools,
    )


def _create_id(at: int, rng: random.Random) -> str:
    """An id of the time, as `types.completions.create_id` makes it now."""
    clock = at // 1000 << 16 | 0x7000 | rng.getrandbits(12)
    digits = f"{clock << 64 | 1 << 63 | rng.getrandbits(62):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
