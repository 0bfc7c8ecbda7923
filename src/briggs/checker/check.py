"""Runs the battery against an endpoint, or judges an answer that was kept in a file."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
from typing import Literal

import msgspec

from briggs.checker.endpoint import CannotCheck, Endpoint, Exchange, KeyRefused
from briggs.checker.expectations import find
from briggs.checker.probes import PROBES, Probe
from briggs.transport import TimedOut, TransportError, Unreachable
from briggs.types.rules import Finding, check_error, check_response, check_stream, is_checkable

Verdict = Literal["pass", "warn", "fail", "unsupported", "not run"]
"""`unsupported`: refused by an error as it must be. `not run`: too busy, away or too slow."""

# Too many requests, or whoever would have answered is not there.
_AWAY = (429, 502, 503, 504)


class Result(msgspec.Struct, kw_only=True):
    """What came of a probe, and why."""

    probe: str
    title: str
    verdict: Verdict
    reason: str = ""
    """What the endpoint said, where it did not answer."""
    findings: list[Finding] = []
    duration_ms: float | None = None


async def check_endpoint(
    endpoint: Endpoint, *, probes: Iterable[Probe] = PROBES
) -> AsyncIterator[Result]:
    """The result of each probe, as it comes. Raises `CannotCheck` before the first."""
    await _greet(endpoint)
    for probe in probes:
        yield await run_probe(probe, endpoint)


async def run_probe(probe: Probe, endpoint: Endpoint) -> Result:
    """Ask what the probe asks, and judge what comes."""
    started = time.monotonic()
    exchanges: list[Exchange] = []
    broken: TransportError | None = None
    for ask in probe.asks:
        try:
            exchanges.append(await endpoint.ask(ask))
        except TransportError as error:
            broken = error
            break
    result = judge_probe(probe, exchanges, broken=broken)
    result.duration_ms = (time.monotonic() - started) * 1000
    return result


def judge_probe(
    probe: Probe, exchanges: list[Exchange], *, broken: TransportError | None = None
) -> Result:
    """The verdict on what was answered; `broken` is how the request after that failed."""
    findings = [finding for exchange in exchanges for finding in judge(exchange)]
    timed_out = isinstance(broken, TimedOut)
    if broken is None:
        findings += probe.expect(exchanges)
    elif not timed_out:
        # It took requests a moment ago, so that this is an answer too.
        findings.append(find(f"it did not answer: {broken}", severity="error"))
    unanswered = [each for each in exchanges if not each.is_answered and not probe.is_wrong]
    refusals = [_describe_refusal(exchange) for exchange in unanswered]
    if any(exchange.status == 500 for exchange in unanswered):
        findings.append(find(refusals[0], severity="error"))
    verdict = _worst(findings)
    if verdict != "fail" and unanswered:
        away = any(exchange.status in _AWAY for exchange in unanswered)
        verdict = "not run" if away else "unsupported"
    if verdict != "fail" and timed_out:
        verdict = "not run"
    return Result(
        probe=probe.name,
        title=probe.title,
        verdict=verdict,
        reason=next(iter([str(broken)] if timed_out else refusals), ""),
        findings=findings,
    )


def judge(exchange: Exchange) -> list[Finding]:
    """What the rule book says of one answer."""
    if exchange.ask.hangs_up:
        return []
    if not is_checkable(exchange.body):
        return [_refuse_size(exchange.body)]
    if not exchange.is_answered:
        findings = check_error(
            exchange.body, status=exchange.status, content_type=exchange.content_type
        )
    elif exchange.ask.is_streamed:
        findings = check_stream(
            exchange.body,
            request=exchange.request,
            content_type=exchange.content_type,
            whole=exchange.broken_off is None,
        )
    else:
        findings = check_response(exchange.body, request=exchange.request)
    if exchange.broken_off:
        message = f"the answer broke off: {exchange.broken_off}"
        findings = [*findings, find(message, exchange.body, severity="error")]
    return findings


def judge_file(name: str, body: bytes, *, request: bytes | None = None) -> Result:
    """The verdict on an answer, an error or the events of a stream that somebody kept."""
    if not is_checkable(body):
        findings = [_refuse_size(body)]
        return Result(probe=name, title="a kept answer", verdict="fail", findings=findings)
    text = body.removeprefix(b"\xef\xbb\xbf").lstrip()
    if name.endswith(".sse") or text.startswith((b"data:", b"event:", b":", b"id:", b"retry:")):
        findings = check_stream(body, request=request)
    elif _is_error(text):
        findings = check_error(body, status=400, content_type="application/json")
    else:
        findings = check_response(body, request=request)
    verdict = _worst(findings)
    return Result(probe=name, title="a kept answer", verdict=verdict, findings=findings)


def _refuse_size(body: bytes) -> Finding:
    return find("It is too large to be checked.", body, severity="error")


async def _greet(endpoint: Endpoint) -> None:
    """See that somebody answers there, with this key, for this model."""
    try:
        if endpoint.model is None:
            endpoint.model = _choose_model(await endpoint.list_models())
        exchange = await endpoint.ask(PROBES[0].asks[0])
        models = await endpoint.list_models() if exchange.status == 404 else []
    except Unreachable as error:
        raise CannotCheck(f"nobody answers at {endpoint.base_url}: {error}") from error
    except TimedOut as error:
        raise CannotCheck(f"{endpoint.base_url} is too slow: {error}; see --timeout") from error
    except TransportError as error:
        raise CannotCheck(f"{endpoint.base_url} does not speak HTTP: {error}") from error
    said = _describe_refusal(exchange)
    if exchange.status in (401, 403):
        raise KeyRefused(said)
    if exchange.status == 404:
        raise CannotCheck(f"{said}: {_suggest(models)}")
    if not exchange.is_answered:
        raise CannotCheck(f"{said}: nothing is checked before a plain question is answered")


def _choose_model(models: list[str]) -> str:
    if len(models) != 1:
        raise CannotCheck(f"it has to be said which model is asked: {_suggest(models)}")
    return models[0]


def _suggest(models: list[str]) -> str:
    """Which models can be asked for."""
    if not models:
        return "the URL goes up to /v1, and --model names a model that is there"
    more = f" and {len(models) - 5} more" if len(models) > 5 else ""
    return f"--model takes one of {', '.join(models[:5])}{more}"


def _worst(findings: list[Finding]) -> Verdict:
    severities = {finding.severity for finding in findings}
    if "error" in severities:
        return "fail"
    return "warn" if "warning" in severities else "pass"


class _Error(msgspec.Struct):
    message: str


class _ErrorAnswer(msgspec.Struct):
    error: _Error


def _describe_refusal(exchange: Exchange) -> str:
    """`it answered 404: There is no such model`, as one line."""
    try:
        said = msgspec.json.decode(exchange.body, type=_ErrorAnswer).error.message
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = exchange.body[:200].decode("utf-8", "replace")
    said = " ".join(said.split()).rstrip(".")
    return f"it answered {exchange.status}" + (f": {said}" if said else "")


def _is_error(text: bytes) -> bool:
    try:
        return "error" in msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
