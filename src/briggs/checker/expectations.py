"""What probes expect beyond the rule book: an answer that fits what was asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from briggs.checker.endpoint import ProbeExchange
from briggs.rules import Finding
from briggs.rules.book import Severity
from briggs.types.chunk import CreateChatCompletionStreamResponse
from briggs.types.fold import fold
from briggs.types.json import decode
from briggs.types.response import Choice, CreateChatCompletionResponse, FinishReason
from briggs.types.sse import EventReader, EventTooLarge
from briggs.types.tools import ChatCompletionMessageToolCall

PROBE = "probe"
"""The rule that a finding names if the probe itself expected something else."""

ANSWERED = "a wrong request was answered, but should be refused"
BLAMED = "a wrong request should be refused with a status from 400 to 499"
NO_LIMIT = "max_completion_tokens was refused or ignored, so max_tokens was sent instead"
NOT_CUT = "the token limit did not cut the answer off"
NOT_NAMED = "the model did not call the tool that tool_choice names"
SAME_ID = "two answers have the id"
UNANSWERED = "it did not answer"
BROKEN_OFF = "the answer broke off"
TOO_LARGE = "the answer is far larger than a few hundred tokens can be"
FAILED = "it failed"
"""How the findings of probes begin. Causes are grouped by this beginning."""

_CUT = (FinishReason.LENGTH, FinishReason.CONTENT_FILTER)

Expectation = Callable[[Sequence[ProbeExchange]], Iterator[Finding]]


def find(message: str, body: bytes = b"", *, severity: Severity = "warning") -> Finding:
    """A finding of the probe itself, with the beginning of what came."""
    excerpt = body[:200].decode("utf-8", "replace")
    return Finding(rule=PROBE, severity=severity, path="", message=message, excerpt=excerpt)


def expect_nothing(exchanges: Sequence[ProbeExchange]) -> Iterator[Finding]:
    """Expects nothing beyond the rule book."""
    yield from ()


def expect_refusal(severity: Severity) -> Expectation:
    """Wrong requests are refused. `severity` is how bad it is to answer one."""

    def expect(exchanges: Sequence[ProbeExchange]) -> Iterator[Finding]:
        for exchange in exchanges:
            if exchange.is_answered:
                yield find(ANSWERED, exchange.request, severity=severity)
            elif exchange.status in (500, 502):
                yield find(f"{BLAMED}, but it sent {exchange.status}", exchange.body)

    return expect


def expect_alternatives(exchanges: Sequence[ProbeExchange]) -> Iterator[Finding]:
    """The request asks for alternatives, so some token has them."""
    for exchange, choice in _iterate_choices(exchanges):
        tokens = (choice.logprobs and choice.logprobs.content) or []
        if tokens and not any(token.top_logprobs for token in tokens):
            yield find("the request asked for top_logprobs, but no token has any", exchange.body)


def expect_wide_characters(exchanges: Sequence[ProbeExchange]) -> Iterator[Finding]:
    """The answer has characters of several bytes. Without them the probe proves nothing."""
    for exchange, choice in _iterate_choices(exchanges):
        if (choice.message.content or "").isascii():
            message = "no character of several bytes came, so none was checked"
            yield find(message, exchange.body, severity="info")


def expect_call_of(name: str) -> Expectation:
    """The named tool is called, and no other."""

    def expect(exchanges: Sequence[ProbeExchange]) -> Iterator[Finding]:
        for exchange, choice in _iterate_choices(exchanges):
            # M10 reports that no tool is called.
            called = set(_list_calls(choice)) - {name}
            if called and choice.finish_reason not in _CUT:
                message = f"{NOT_NAMED}: it called {', '.join(sorted(called))} instead of {name}"
                yield find(message, exchange.body, severity="error")

    return expect


def expect_cut(exchanges: Sequence[ProbeExchange]) -> Iterator[Finding]:
    """A long answer with a limit of a few tokens ends with `length`."""
    for exchange in exchanges:
        if b'"max_completion_tokens"' not in exchange.request:
            yield find(NO_LIMIT, exchange.request)
            break
    for exchange, choice in _iterate_choices(exchanges):
        if choice.finish_reason != FinishReason.LENGTH:
            yield find(f"{NOT_CUT}: it ended with '{choice.finish_reason}'", exchange.body)


def expect_twins(exchanges: Sequence[ProbeExchange]) -> Iterator[Finding]:
    """The same seed and system_fingerprint give the same text, with a new id."""
    responses = [response for response in map(_read_response, exchanges) if response]
    ids = [response.id for response in responses if response.id]
    if len(set(ids)) < len(ids):
        yield find(f"{SAME_ID} {ids[0]}", exchanges[-1].body)
    texts = {choice.message.content for each in responses for choice in each.choices}
    if len(texts) > 1 and len({response.system_fingerprint for response in responses}) == 1:
        yield find("the same seed gave a different answer", exchanges[-1].body)


def _iterate_choices(exchanges: Sequence[ProbeExchange]) -> Iterator[tuple[ProbeExchange, Choice]]:
    """The choices of all answers that are chat completions."""
    for exchange in exchanges:
        if response := _read_response(exchange):
            for choice in response.choices:
                yield exchange, choice


def _read_response(exchange: ProbeExchange) -> CreateChatCompletionResponse | None:
    """The answer, whole or streamed; None if it is not a chat completion."""
    if not exchange.is_answered or exchange.ask.hangs_up:
        return None
    try:
        if not exchange.ask.is_streamed:
            return decode(exchange.body, CreateChatCompletionResponse)
        data = [event.data for event in EventReader().feed(exchange.body)]
        chunks = [chunk for chunk in data if chunk != b"[DONE]"]
        return fold(decode(chunk, CreateChatCompletionStreamResponse) for chunk in chunks)
    except (msgspec.DecodeError, EventTooLarge):
        return None


def _list_calls(choice: Choice) -> list[str]:
    calls = choice.message.tool_calls or []
    return [call.function.name for call in calls if isinstance(call, ChatCompletionMessageToolCall)]
