"""Runs the probes against an endpoint, or judges an answer from a file."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Literal

import msgspec

from briggs.checker.endpoint import Api, Endpoint, ProbeExchange
from briggs.checker.expectations import BROKEN_OFF, FAILED, TOO_LARGE, UNANSWERED, find
from briggs.checker.greeting import describe_refusal, greet
from briggs.checker.probes import PROBES, Probe
from briggs.rules import (
    Finding,
    check_blocks_error,
    check_blocks_message,
    check_blocks_stream,
    check_embeddings,
    check_error,
    check_model_response,
    check_model_stream,
    check_moderation,
    check_response,
    check_stream,
    check_text,
    check_text_stream,
    is_checkable,
)
from briggs.transport import TimedOut, TransportError

Verdict = Literal["pass", "warn", "fail", "unsupported", "not run"]
"""`unsupported`: refused with a proper error. `not run`: too busy, away, or out of time."""

CHECK_TIMEOUT_S = 600.0

# Too many requests, or the server behind a proxy is unavailable.
_AWAY = (429, 502, 503, 504)
_FILE_TITLE = "an answer from a file"

_WHOLE_CHECKS = {
    "chat": check_response,
    "responses": check_model_response,
    "messages": check_blocks_message,
    "completions": check_text,
    "embeddings": check_embeddings,
    "moderations": check_moderation,
}
_STREAM_CHECKS = {
    "chat": check_stream,
    "responses": check_model_stream,
    "messages": check_blocks_stream,
    "completions": check_text_stream,
}


class Result(msgspec.Struct, kw_only=True):
    """The verdict on a probe, and why."""

    probe: str
    title: str
    verdict: Verdict
    reason: str = ""
    """Why there is no answer, if there is none."""
    findings: list[Finding] = []
    duration_ms: float | None = None


async def check_endpoint(
    endpoint: Endpoint,
    *,
    probes: Iterable[Probe] = PROBES,
    greeting: Probe = PROBES[0],
    timeout_s: float = CHECK_TIMEOUT_S,
) -> AsyncIterator[Result]:
    """Yields the result of each probe when it is known. Raises `CannotCheck` before the first.

    `greeting` is the probe that is sent first, to find out whether the endpoint answers.
    Probes for which no time is left of `timeout_s` are not run.
    """
    deadline = time.monotonic() + timeout_s
    endpoint.timeout_s = min(endpoint.timeout_s, timeout_s)
    await greet(endpoint, greeting.asks[0])
    for probe in probes:
        left_s = deadline - time.monotonic()
        if left_s > 0:
            yield await run_probe(probe, endpoint, timeout_s=left_s)
        else:
            reason = f"the check took all of its {timeout_s:g} s before this probe"
            yield Result(probe=probe.name, title=probe.title, verdict="not run", reason=reason)


async def run_probe(probe: Probe, endpoint: Endpoint, *, timeout_s: float | None = None) -> Result:
    """Send the requests of a probe and judge the answers, all within the endpoint's timeout."""
    started = time.monotonic()
    deadline = started + min(timeout_s or endpoint.timeout_s, endpoint.timeout_s)
    exchanges: list[ProbeExchange] = []
    broken: TransportError | None = None
    for ask in probe.asks:
        try:
            exchanges.append(await endpoint.ask(ask, timeout_s=deadline - time.monotonic()))
        except TransportError as error:
            broken = error
            break
    result = judge_probe(probe, exchanges, broken=broken)
    result.duration_ms = (time.monotonic() - started) * 1000
    return result


def judge_probe(
    probe: Probe, exchanges: list[ProbeExchange], *, broken: TransportError | None = None
) -> Result:
    """The verdict on the answers. `broken` is how the request after them failed."""
    findings = [finding for exchange in exchanges for finding in judge(exchange)]
    timed_out = isinstance(broken, TimedOut)
    if broken is None:
        findings += probe.expect(exchanges)
    elif not timed_out:
        # It accepted requests a moment ago, so the network works.
        findings.append(find(f"{UNANSWERED}: {broken}", severity="error"))
    unanswered = [each for each in exchanges if not each.is_answered and not probe.is_wrong]
    refusals = [describe_refusal(exchange) for exchange in unanswered]
    if any(exchange.status == 500 for exchange in unanswered):
        findings.append(find(f"{FAILED}: {refusals[0]}", severity="error"))
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


def judge(exchange: ProbeExchange) -> list[Finding]:
    """The rules that one answer breaks."""
    if exchange.ask.hangs_up:
        return []
    if exchange.is_too_large or not is_checkable(exchange.body):
        return [find(TOO_LARGE, exchange.body, severity="error")]
    if not exchange.is_answered:
        check = check_blocks_error if exchange.ask.api == "messages" else check_error
        findings = check(exchange.body, status=exchange.status, content_type=exchange.content_type)
    elif exchange.ask.is_streamed:
        findings = _STREAM_CHECKS[exchange.ask.api](
            exchange.body,
            request=exchange.request,
            content_type=exchange.content_type,
            whole=exchange.broken_off is None,
        )
    else:
        findings = _WHOLE_CHECKS[exchange.ask.api](exchange.body, request=exchange.request)
    if exchange.broken_off:
        message = f"{BROKEN_OFF}: {exchange.broken_off}"
        findings = [*findings, find(message, exchange.body, severity="error")]
    return findings


def judge_file(name: str, body: bytes, *, request: bytes | None = None) -> Result:
    """The verdict on an answer, an error or the events of a stream from a file."""
    if not is_checkable(body):
        findings = [find("it is too large to be checked", body, severity="error")]
        return Result(probe=name, title=_FILE_TITLE, verdict="fail", findings=findings)
    text = body.removeprefix(b"\xef\xbb\xbf").lstrip()
    api = _recognise(text)
    if name.endswith(".sse") or text.startswith((b"data:", b"event:", b":", b"id:", b"retry:")):
        findings = _STREAM_CHECKS.get(api, check_stream)(body, request=request)
    elif _is_error(text):
        check = check_blocks_error if api == "messages" else check_error
        findings = check(body, status=400, content_type="application/json")
    else:
        findings = _WHOLE_CHECKS[api](body, request=request)
    verdict = _worst(findings)
    return Result(probe=name, title=_FILE_TITLE, verdict=verdict, findings=findings)


def _worst(findings: list[Finding]) -> Verdict:
    severities = {finding.severity for finding in findings}
    if "error" in severities:
        return "fail"
    return "warn" if "warning" in severities else "pass"


def _is_error(text: bytes) -> bool:
    members = _read_members(text)
    return "error" in members and "output" not in members


def _recognise(text: bytes) -> Api:
    """Which API an answer comes from, as an object or as events."""
    begin = text[:_BEGIN_BYTES]
    for mark, api in _EVENT_MARKS.items():
        if mark in begin:
            return api
    found = _read_members(text.removeprefix(b"data:").partition(b"\n\n")[0])
    if "results" in found:
        return "moderations"
    kinds = (bytes(found.get(name, b"")) for name in ("object", "type"))
    return next((_KINDS[kind] for kind in kinds if kind in _KINDS), "chat")


_BEGIN_BYTES = 1000
_EVENT_MARKS: Mapping[bytes, Api] = {
    b"event: response.": "responses",
    b"event: message_start": "messages",
}
_KINDS: Mapping[bytes, Api] = {
    b'"response"': "responses",
    b'"message"': "messages",
    b'"error"': "messages",
    b'"text_completion"': "completions",
    b'"list"': "embeddings",
}
"""What `object` or `type` says in the answers of each API."""


def _read_members(text: bytes) -> dict[str, msgspec.Raw]:
    try:
        return msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
