"""What a probe expects beyond the rule book: that the answer is one to what was asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import msgspec

from briggs.checker.endpoint import Exchange
from briggs.types.chunk import CreateChatCompletionStreamResponse
from briggs.types.fold import fold
from briggs.types.response import Choice, CreateChatCompletionResponse, FinishReason
from briggs.types.rules import Finding
from briggs.types.sse import EventReader, EventTooLarge
from briggs.types.tools import ChatCompletionMessageToolCall
from briggs.types.wire import decode

PROBE = "probe"
"""Stands where a finding names its rule: the probe itself expected something else."""

_CUT = (FinishReason.LENGTH, FinishReason.CONTENT_FILTER)

Severity = Literal["error", "warning", "info"]
Expectation = Callable[[Sequence[Exchange]], Iterator[Finding]]


def find(message: str, body: bytes = b"", *, severity: Severity = "warning") -> Finding:
    """A finding of a probe's own, with the beginning of what came."""
    excerpt = body[:200].decode("utf-8", "replace")
    return Finding(rule=PROBE, severity=severity, path="", message=message, excerpt=excerpt)


def expect_nothing(exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    """The rule book says all that there is to say."""
    yield from ()


def expect_refusal(severity: Severity) -> Expectation:
    """The requests are wrong, and are refused for that; `severity` is that of an answer."""

    def expect(exchanges: Sequence[Exchange]) -> Iterator[Finding]:
        for exchange in exchanges:
            if exchange.is_answered:
                asked = exchange.request[:80].decode("utf-8", "replace")
                message = f"answered instead of refused: {asked}"
                yield find(message, exchange.body, severity=severity)
            elif exchange.status in (500, 502):
                message = f"a wrong request is refused by 400 to 499, not by {exchange.status}"
                yield find(message, exchange.body)

    return expect


def expect_alternatives(exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    """Alternatives were asked for, so that some token has some."""
    for exchange, choice in _iterate_choices(exchanges):
        tokens = (choice.logprobs and choice.logprobs.content) or []
        if tokens and not any(token.top_logprobs for token in tokens):
            yield find("top_logprobs were asked for, and no token has any", exchange.body)


def expect_wide_characters(exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    """The answer has characters of several bytes; without them the probe says nothing."""
    for exchange, choice in _iterate_choices(exchanges):
        if (choice.message.content or "").isascii():
            message = "no character of several bytes came, so that none was checked"
            yield find(message, exchange.body, severity="info")


def expect_call_of(name: str) -> Expectation:
    """The tool that was named is called, and no other."""

    def expect(exchanges: Sequence[Exchange]) -> Iterator[Finding]:
        for exchange, choice in _iterate_choices(exchanges):
            called = set(_list_calls(choice))
            if called != {name} and choice.finish_reason not in _CUT:
                message = f"tool_choice names {name}, and called is {', '.join(called) or 'none'}"
                yield find(message, exchange.body, severity="error")

    return expect


def expect_cut(exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    """What needs many tokens was asked for within few, so that the answer ends by length."""
    for exchange, choice in _iterate_choices(exchanges):
        if choice.finish_reason != FinishReason.LENGTH:
            message = f"max_completion_tokens cut nothing off: it ended by {choice.finish_reason}"
            yield find(message, exchange.body)


def expect_twins(exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    """The same seed and system_fingerprint give the same text, under another id."""
    responses = [response for response in map(_read_response, exchanges) if response]
    ids = [response.id for response in responses if response.id]
    if len(set(ids)) < len(ids):
        yield find(f"two answers have the id {ids[0]}", exchanges[-1].body)
    texts = {choice.message.content for each in responses for choice in each.choices}
    if len(texts) > 1 and len({response.system_fingerprint for response in responses}) == 1:
        yield find("the same seed gave another answer", exchanges[-1].body)


def _iterate_choices(exchanges: Sequence[Exchange]) -> Iterator[tuple[Exchange, Choice]]:
    """The choices of all answers that are chat completions."""
    for exchange in exchanges:
        if response := _read_response(exchange):
            for choice in response.choices:
                yield exchange, choice


def _read_response(exchange: Exchange) -> CreateChatCompletionResponse | None:
    """The answer, whole or streamed; None where it is no chat completion."""
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
