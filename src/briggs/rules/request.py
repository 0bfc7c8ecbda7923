"""R: the parts of a request fit together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from briggs.rules.answer import CheckedRequest
from briggs.rules.book import Broken, rule
from briggs.types.any_json import integer, members, objects
from briggs.types.envelope import CHOICES_MAX


@rule(
    "R1", "error", "`top_logprobs` comes only with `logprobs`.",
    on="request",
    basis='CreateChatCompletionRequest, top_logprobs: "`logprobs` must be set to `true` if this '
    'parameter is used."',
)  # fmt: skip
def asks_for_logprobs(request: CheckedRequest) -> Iterator[Broken]:
    top = request.value.get("top_logprobs")
    if top is not None and not request.wants_logprobs:
        yield Broken("top_logprobs", "logprobs is not true.", top)


@rule(
    "R2", "error", "`stream_options` comes only with `stream`.",
    on="request",
    basis='CreateChatCompletionRequest, stream_options: "Only set this when you set `stream: '
    'true`."',
)  # fmt: skip
def asks_for_a_stream(request: CheckedRequest) -> Iterator[Broken]:
    options = request.value.get("stream_options")
    if options is not None and request.value.get("stream") is not True:
        yield Broken("stream_options", "stream is not true.", options)


@rule(
    "R3", "error", "Every tool message answers a call, and every call is answered.",
    on="request",
    basis='ChatCompletionRequestToolMessage, tool_call_id: "Tool call that this message is '
    'responding to." All calls are answered before the next message of another role.',
)  # fmt: skip
def answers_every_call(request: CheckedRequest) -> Iterator[Broken]:
    # An id may be any JSON, so calls are found by how it is written.
    open_calls: dict[str, list[Any]] = {}
    place = ""
    for path, message in objects(request.value.get("messages"), "messages"):
        if message.get("role") == "tool":
            id = message.get("tool_call_id")
            if waiting := open_calls.get(repr(id)):
                waiting.pop()
            else:
                yield Broken(f"{path}.tool_call_id", "It does not answer an open call.", id)
            continue
        yield from _report_unanswered(open_calls, place)
        open_calls, place = {}, f"{path}.tool_calls"
        for _, call in objects(message.get("tool_calls"), place):
            open_calls.setdefault(repr(call.get("id")), []).append(call.get("id"))
    yield from _report_unanswered(open_calls, place)


def _report_unanswered(calls: dict[str, list[Any]], path: str) -> Iterator[Broken]:
    for waiting in calls.values():
        for id in waiting:
            yield Broken(path, "No tool message answers it.", id)


PAIRS_MAX, KEY_MAX, VALUE_MAX, STOPS_MAX = 16, 64, 512, 4


@rule(
    "R4", "error", "`metadata`, `stop` and `n` keep their limits.",
    on="request",
    basis="CreateChatCompletionRequest: metadata has at most 16 pairs, keys of 64 and values of "
    "512 characters; stop at most 4 sequences; n is from 1 to 128.",
)  # fmt: skip
def keeps_the_limits(request: CheckedRequest) -> Iterator[Broken]:
    metadata = members(request.value.get("metadata"))
    if len(metadata) > PAIRS_MAX:
        yield Broken("metadata", f"It has more than {PAIRS_MAX} pairs.")
    for key, value in metadata.items():
        if len(key) > KEY_MAX:
            yield Broken("metadata", f"A key has more than {KEY_MAX} characters.", key)
        if not isinstance(value, str) or len(value) > VALUE_MAX:
            message = f"It is not a string of at most {VALUE_MAX} characters."
            yield Broken(f"metadata.{key}", message, value)
    if len(request.stops) > STOPS_MAX:
        yield Broken("stop", f"It has more than {STOPS_MAX} sequences.")
    choices = request.value.get("n")
    if choices is not None and not 1 <= (integer(choices) or 0) <= CHOICES_MAX:
        yield Broken("n", f"It is not a number from 1 to {CHOICES_MAX}.", choices)


@rule(
    "R5", "error", "A request for a JSON object says so in a message.",
    on="request",
    basis='CreateChatCompletionRequest, response_format: "when using JSON mode, you must also '
    'instruct the model to produce JSON yourself via a system or user message."',
)  # fmt: skip
def says_json(request: CheckedRequest) -> Iterator[Broken]:
    format = members(request.value.get("response_format"))
    if format.get("type") == "json_object":
        messages = objects(request.value.get("messages"), "messages")
        if not any("json" in text.lower() for _, one in messages for text in _texts(one)):
            yield Broken("response_format", "No message says 'JSON'.", format)


def _texts(message: dict[str, Any]) -> Iterator[str]:
    content = message.get("content")
    if isinstance(content, str):
        yield content
    for _, part in objects(content, ""):
        if isinstance(part.get("text"), str):
            yield part["text"]
