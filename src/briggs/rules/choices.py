"""C: there are as many choices as requested, they are numbered, and each has an end reason."""

from __future__ import annotations

from collections.abc import Iterator

from briggs.rules.answer import CheckedAnswer, CheckedRequest
from briggs.rules.book import Broken, also, rule
from briggs.rules.specification import FINISH_REASONS
from briggs.types.any_json import integer

# No known context is smaller, so a shorter answer has not reached its end.
CONTEXT_TOKENS_MIN = 256


@rule(
    "C1", "error", "There are as many choices as the request's `n`, and at least one.",
    on="response",
    basis='CreateChatCompletionRequest: "How many chat completion choices to generate for each '
    'input message."',
    fix="If the text and the tool calls of one turn came as two choices, they are joined.",
)  # fmt: skip
def are_as_many_as_asked(answer: CheckedAnswer) -> Iterator[Broken]:
    choices = answer.value.get("choices", ...)
    if choices is ...:
        return
    if not isinstance(choices, list) or not choices:
        yield Broken("choices", "There are no choices.", choices)
    elif answer.request and len(choices) != answer.request.choices:
        asked = answer.request.choices
        yield Broken("choices", f"{len(choices)} came, but the request asked for {asked}.")


@rule(
    "C2", "error", "The choices are numbered from 0, without gaps or repeats.",
    on="response",
    basis='CreateChatCompletionResponse: "The index of the choice in the list of choices."',
    fix="Numbered by their position in the list.",
)  # fmt: skip
def are_numbered(answer: CheckedAnswer) -> Iterator[Broken]:
    if any("index" not in choice.value for choice in answer.choices):
        return
    indices = [integer(choice.value["index"]) for choice in answer.choices]
    if {*indices} != {*range(len(indices))}:
        given = [choice.value["index"] for choice in answer.choices]
        yield Broken("choices", "Their indices have gaps or repeats.", given)
    elif indices != [*range(len(indices))]:
        yield Broken("choices", "Their indices are not in ascending order.", indices, "warning")


@rule(
    "C3", "error", "`finish_reason` is stop, length, tool_calls, content_filter or function_call.",
    on="response",
    basis="CreateChatCompletionResponse: an enum of these five, required and not nullable; in a "
    "chunk it is null until the choice ends.",
    fix="A vendor's own word becomes the specification's word, and is kept as "
    "native_finish_reason. An unknown word is refused, never guessed.",
)  # fmt: skip
def end_for_a_known_reason(answer: CheckedAnswer) -> Iterator[Broken]:
    for choice in answer.choices:
        reason = choice.value.get("finish_reason", "stop")
        if reason not in FINISH_REASONS and not (reason is None and answer.member == "delta"):
            yield Broken(f"{choice.path}.finish_reason", "It is not one of these reasons.", reason)


also("C3", on="chunk")(end_for_a_known_reason)


@rule(
    "C4", "error", "A choice ends with `tool_calls` if and only if it calls tools.",
    on="response",
    basis='CreateChatCompletionResponse: "`tool_calls` if the model called a tool"; `stop` if '
    "the request names the function, `length` or `content_filter` if it was cut off (measured).",
    fix="If tools are called, the reason becomes `tool_calls`. If none is, it is refused.",
)  # fmt: skip
def end_with_their_calls(answer: CheckedAnswer) -> Iterator[Broken]:
    for choice in answer.choices:
        reason, path = choice.value.get("finish_reason"), f"{choice.path}.finish_reason"
        if reason == "tool_calls" and not choice.calls:
            yield Broken(path, "The message does not call a tool.", reason)
        elif choice.calls and reason == "function_call":
            yield Broken(path, "The message calls tools.", reason)
        elif choice.calls and reason == "stop" and not _may_stop(answer.request):
            yield Broken(path, "The message calls tools, and the request did not name one.", reason)


def _may_stop(request: CheckedRequest | None) -> bool:
    """Whether a choice that calls tools may end with `stop`, as far as is known."""
    return request is None or request.tool_choice in ("function", "custom")


@rule(
    "C5", "warning", "A choice ends with `length` only if it reached a token limit.",
    on="response",
    basis='CreateChatCompletionResponse: "`length` if the maximum number of tokens specified in '
    f'the request was reached"; no known context ends before {CONTEXT_TOKENS_MIN} tokens.',
)  # fmt: skip
def end_at_a_limit(answer: CheckedAnswer) -> Iterator[Broken]:
    tokens = integer(answer.usage.get("completion_tokens"))
    total = integer(answer.usage.get("total_tokens"))
    if tokens is None or total is None or total >= CONTEXT_TOKENS_MIN or not answer.request:
        return
    limit = answer.request.tokens_max
    if limit is not None and tokens >= limit:
        return
    for choice in answer.choices:
        if choice.value.get("finish_reason") == "length":
            yield Broken(
                f"{choice.path}.finish_reason",
                f"{tokens} tokens reach neither the request's limit nor the end of a context.",
                "length",
            )


@rule(
    "C6", "warning", "A choice ends with `function_call` only if the request had `functions`.",
    on="response",
    basis='CreateChatCompletionResponse: "`function_call` (deprecated) if the model called a '
    'function"; a request with `tools` is answered with tool_calls.',
)  # fmt: skip
def end_with_a_function_call(answer: CheckedAnswer) -> Iterator[Broken]:
    for choice in answer.choices:
        path = f"{choice.path}.finish_reason"
        if choice.value.get("finish_reason") != "function_call":
            continue
        if not isinstance(choice.message.get("function_call"), dict):
            yield Broken(path, "The message has no function_call.", "function_call")
        elif answer.request and not answer.request.value.get("functions"):
            yield Broken(path, "The request has no functions.", "function_call")


@rule(
    "C7", "error", "The answer has no more tokens than the request allows.",
    on="response",
    basis='CreateChatCompletionRequest, max_completion_tokens: "An upper bound for the number of '
    'tokens that can be generated for a completion, including visible output tokens and '
    'reasoning tokens."',
)  # fmt: skip
def keep_the_limit(answer: CheckedAnswer) -> Iterator[Broken]:
    tokens = integer(answer.usage.get("completion_tokens"))
    if answer.request is None or answer.request.tokens_max is None or tokens is None:
        return
    limit = answer.request.tokens_max * answer.request.choices
    if tokens > limit:
        yield Broken("usage.completion_tokens", f"At most {limit} are allowed.", tokens)


@rule(
    "C8", "warning", "The content contains none of the stop sequences.",
    on="response",
    basis='CreateChatCompletionRequest, stop: "The returned text will not contain the stop '
    'sequence."',
)  # fmt: skip
def stop_before_the_stop(answer: CheckedAnswer) -> Iterator[Broken]:
    stops = answer.request.stops if answer.request else []
    for choice in answer.choices:
        content = choice.message.get("content")
        for stop in stops:
            if isinstance(content, str) and stop in content:
                yield Broken(f"{choice.message_path}.content", "It contains a stop sequence.", stop)
