"""C: as many choices as were asked for, numbered, and each ends for a reason."""

from __future__ import annotations

from collections.abc import Iterator

from briggs.types.any_json import integer
from briggs.types.conform import FINISH_REASONS
from briggs.types.rules.answer import Answer, Request
from briggs.types.rules.book import Broken, also, rule

# No model's window is smaller, so that whoever writes less has not come to its end.
CONTEXT_TOKENS_MIN = 256


@rule(
    "C1", "error", "There are as many choices as the request's `n`, and at least one.",
    on="response",
    basis='CreateChatCompletionRequest: "How many chat completion choices to generate for each '
    'input message."',
    fix="Text and tool calls that came as two choices of one turn are put together.",
)  # fmt: skip
def are_as_many_as_asked(answer: Answer) -> Iterator[Broken]:
    choices = answer.value.get("choices", ...)
    if choices is ...:
        return
    if not isinstance(choices, list) or not choices:
        yield Broken("choices", "There is none.", choices)
    elif answer.request and len(choices) != answer.request.choices:
        asked = answer.request.choices
        yield Broken("choices", f"{len(choices)} came, and {asked} were asked for.")


@rule(
    "C2", "error", "The choices are numbered from 0, each number once.",
    on="response",
    basis='CreateChatCompletionResponse: "The index of the choice in the list of choices."',
    fix="Numbered by their places in the list.",
)  # fmt: skip
def are_numbered(answer: Answer) -> Iterator[Broken]:
    if any("index" not in choice.value for choice in answer.choices):
        return
    indices = [integer(choice.value["index"]) for choice in answer.choices]
    if {*indices} != {*range(len(indices))}:
        given = [choice.value["index"] for choice in answer.choices]
        yield Broken("choices", "Their indices do not count from 0, each once.", given)
    elif indices != [*range(len(indices))]:
        yield Broken("choices", "Their indices do not ascend.", indices, "warning")


@rule(
    "C3", "error", "`finish_reason` is stop, length, tool_calls, content_filter or function_call.",
    on="response",
    basis="CreateChatCompletionResponse: an enum of these five, required and not nullable; in a "
    "chunk it is null until the choice ends.",
    fix="A vendor's own word becomes the specification's, and stays as native_finish_reason; "
    "what nobody knows is refused, never guessed at.",
)  # fmt: skip
def end_for_a_known_reason(answer: Answer) -> Iterator[Broken]:
    for choice in answer.choices:
        reason = choice.value.get("finish_reason", "stop")
        if reason not in FINISH_REASONS and not (reason is None and answer.member == "delta"):
            yield Broken(f"{choice.path}.finish_reason", "It is no such reason.", reason)


also("C3", on="chunk")(end_for_a_known_reason)


@rule(
    "C4", "error", "A choice ends with `tool_calls` if and only if it calls tools.",
    on="response",
    basis='CreateChatCompletionResponse: "`tool_calls` if the model called a tool"; `stop` where '
    "the request names the function, `length` or `content_filter` where it was cut (measured).",
    fix="Where tools are called, the reason becomes `tool_calls`; where none is, it is refused.",
)  # fmt: skip
def end_with_their_calls(answer: Answer) -> Iterator[Broken]:
    for choice in answer.choices:
        reason, path = choice.value.get("finish_reason"), f"{choice.path}.finish_reason"
        if reason == "tool_calls" and not choice.calls:
            yield Broken(path, "The message calls no tool.", reason)
        elif choice.calls and reason == "function_call":
            yield Broken(path, "The message calls tools.", reason)
        elif choice.calls and reason == "stop" and not _may_stop(answer.request):
            yield Broken(path, "The message calls tools that nobody named.", reason)


def _may_stop(request: Request | None) -> bool:
    """Whether a choice that calls tools may end with `stop`, as far as is known."""
    return request is None or request.tool_choice in ("function", "custom")


@rule(
    "C5", "warning", "A choice ends with `length` only where a limit of tokens was reached.",
    on="response",
    basis='CreateChatCompletionResponse: "`length` if the maximum number of tokens specified in '
    f'the request was reached"; no context is known to end below {CONTEXT_TOKENS_MIN} tokens.',
)  # fmt: skip
def end_at_a_limit(answer: Answer) -> Iterator[Broken]:
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
                f"{tokens} tokens reach no limit of the request and no context's end.",
                "length",
            )


@rule(
    "C6", "warning", "A choice ends with `function_call` only where `functions` were given.",
    on="response",
    basis='CreateChatCompletionResponse: "`function_call` (deprecated) if the model called a '
    'function"; a request with `tools` is answered with tool_calls.',
)  # fmt: skip
def end_with_a_function_call(answer: Answer) -> Iterator[Broken]:
    for choice in answer.choices:
        path = f"{choice.path}.finish_reason"
        if choice.value.get("finish_reason") != "function_call":
            continue
        if not isinstance(choice.message.get("function_call"), dict):
            yield Broken(path, "The message has no function_call.", "function_call")
        elif answer.request and not answer.request.value.get("functions"):
            yield Broken(path, "The request has no functions.", "function_call")


@rule(
    "C7", "error", "No more tokens come than the request allows.",
    on="response",
    basis='CreateChatCompletionRequest, max_completion_tokens: "An upper bound for the number of '
    'tokens that can be generated for a completion, including visible output tokens and '
    'reasoning tokens."',
)  # fmt: skip
def keep_the_limit(answer: Answer) -> Iterator[Broken]:
    tokens = integer(answer.usage.get("completion_tokens"))
    if answer.request is None or answer.request.tokens_max is None or tokens is None:
        return
    limit = answer.request.tokens_max * answer.request.choices
    if tokens > limit:
        yield Broken("usage.completion_tokens", f"At most {limit} may come.", tokens)


@rule(
    "C8", "warning", "The content holds none of the stop sequences.",
    on="response",
    basis='CreateChatCompletionRequest, stop: "The returned text will not contain the stop '
    'sequence."',
)  # fmt: skip
def stop_before_the_stop(answer: Answer) -> Iterator[Broken]:
    stops = answer.request.stops if answer.request else []
    for choice in answer.choices:
        content = choice.message.get("content")
        for stop in stops:
            if isinstance(content, str) and stop in content:
                yield Broken(f"{choice.message_path}.content", "It holds a stop sequence.", stop)
