"""A: what the Messages API answers, whole or as its events together, is a message of blocks.

https://docs.anthropic.com/en/api/messages
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from briggs.rules.book import Broken, rule
from briggs.rules.http import ErrorBody
from briggs.types.any_json import Members, integer, list_objects, members, objects, text

_REASONS = (
    *("end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal"),
    "model_context_window_exceeded",
)
_CALL = "tool_use"
_TEXTS = {
    "text": ("text",),
    "thinking": ("thinking", "signature"),
    "redacted_thinking": ("data",),
}
"""The members of each type of block that are strings."""
_COUNTS = ("input_tokens", "output_tokens")
_CACHE_COUNTS = ("cache_creation_input_tokens", "cache_read_input_tokens")


class CheckedBlocksMessage:
    """A message, with its request if that is known."""

    def __init__(self, value: Members, request: Members | None) -> None:
        self.value = value
        self.request = request or {}

    @cached_property
    def blocks(self) -> list[tuple[str, Members]]:
        """The blocks of the content, with their paths."""
        return list(objects(self.value.get("content"), "content"))

    @property
    def calls(self) -> list[tuple[str, Members]]:
        """The calls of tools that the caller must answer, with their paths."""
        return [(path, block) for path, block in self.blocks if block.get("type") == _CALL]


@rule(
    "A1", "error", "The answer is of the type message, with an id and the role assistant.",
    on="message",
    basis='Message: `type` is "For Messages, this is always `message`"; `role` is "always '
    '`assistant`"; `id` is its unique identifier.',
)  # fmt: skip
def is_a_message(answer: CheckedBlocksMessage) -> Iterator[Broken]:
    for name, expected in (("type", "message"), ("role", "assistant")):
        if answer.value.get(name) != expected:
            yield Broken(name, f"It is not '{expected}'.", answer.value.get(name, ...))
    for name in ("id", "model"):
        if text(answer.value.get(name)) is None:
            yield Broken(name, "It is not a non-empty string.", answer.value.get(name, ...))


@rule(
    "A2", "error", "The content is a list of blocks with a type and the members of that type.",
    on="message",
    basis="ContentBlock: a text block has text, thinking has thinking and signature, and "
    "redacted_thinking has data. Other types are passed on as they are.",
)  # fmt: skip
def has_whole_blocks(answer: CheckedBlocksMessage) -> Iterator[Broken]:
    content = answer.value.get("content", ...)
    if not isinstance(content, list):
        yield Broken("content", "It is not a list.", content)
        return
    for place, block in enumerate(content):
        if not isinstance(block, dict):
            yield Broken(f"content[{place}]", "It is not an object.", block)
    for path, block in answer.blocks:
        if text(block.get("type")) is None:
            yield Broken(f"{path}.type", "It is missing.", block.get("type", ...))
            continue
        for name in _TEXTS.get(block["type"], ()):
            if not isinstance(block.get(name), str):
                yield Broken(f"{path}.{name}", "It is not a string.", block.get(name, ...))
        if block["type"] == "text" and block.get("text") == "":
            message = "It is empty, and is refused when it is sent back."
            yield Broken(f"{path}.text", message, severity="warning")


@rule(
    "A3", "error", "A call has an id of its own, the name of a tool, and an object as input.",
    on="message",
    basis="ToolUseBlock requires id, name and input, an object. A result is matched to its call by "
    "the id.",
)  # fmt: skip
def has_whole_calls(answer: CheckedBlocksMessage) -> Iterator[Broken]:
    seen: set[str] = set()
    names = {text(each.get("name")) for each in list_objects(answer.request.get("tools"))}
    for path, block in answer.calls:
        id = text(block.get("id"))
        if id is None:
            yield Broken(f"{path}.id", "It is not a non-empty string.", block.get("id", ...))
        elif id in seen:
            yield Broken(f"{path}.id", "Another call has the same id.", id)
        else:
            seen.add(id)
        name = text(block.get("name"))
        if name is None:
            yield Broken(f"{path}.name", "It is not a non-empty string.", block.get("name", ...))
        elif answer.request and name not in names:
            yield Broken(f"{path}.name", "The request has no tool with this name.", name)
        if not isinstance(block.get("input"), dict):
            yield Broken(f"{path}.input", "It is not an object.", block.get("input", ...))


@rule(
    "A4", "error", "The reason for the end is a known one, and the content agrees with it.",
    on="message",
    basis='Message, stop_reason: "In non-streaming mode this value is always non-null." It is '
    "`tool_use` if the model calls tools of the caller, and `stop_sequence` names the text that "
    "ended the answer, or is null.",
)  # fmt: skip
def has_a_fitting_end(answer: CheckedBlocksMessage) -> Iterator[Broken]:
    reason = answer.value.get("stop_reason", ...)
    if reason not in _REASONS:
        yield Broken("stop_reason", "It is not a known reason.", reason)
        return
    if reason == _CALL and not answer.calls:
        yield Broken("content", "The reason is 'tool_use', but there is no call.")
    if reason == "end_turn" and answer.calls:
        yield Broken("stop_reason", "There are calls of tools, so it is 'tool_use'.", reason)
    ended = answer.value.get("stop_sequence", ...)
    if reason != "stop_sequence" and ended is not None:
        missing = ended is ...
        message = "It is missing." if missing else "The answer did not end with it."
        yield Broken("stop_sequence", message, ended, "warning" if missing else None)
    asked = answer.request.get("stop_sequences")
    if reason == "stop_sequence" and not isinstance(ended, str):
        yield Broken("stop_sequence", "The answer ended with one, but it is not named.", ended)
    elif reason == "stop_sequence" and isinstance(asked, list) and ended not in asked:
        yield Broken("stop_sequence", "The request does not have it.", ended)


@rule(
    "A5", "error", "The usage has whole numbers of input and output tokens.",
    on="message",
    basis="Usage requires input_tokens and output_tokens. The counts of the cache are whole "
    "numbers or null. There is no total.",
)  # fmt: skip
def counts_tokens(answer: CheckedBlocksMessage) -> Iterator[Broken]:
    usage = answer.value.get("usage", ...)
    if not isinstance(usage, dict):
        yield Broken("usage", "It is not an object.", usage)
        return
    for name in (*_COUNTS, *_CACHE_COUNTS):
        given = usage.get(name, ...)
        if name in _CACHE_COUNTS and (given is ... or given is None):
            continue
        count = integer(given)
        if count is None or count < 0:
            yield Broken(f"usage.{name}", "It is not a whole number from 0.", given)
    written, most = integer(usage.get("output_tokens")), integer(answer.request.get("max_tokens"))
    if written is not None and most is not None and written > most > 0:
        message = f"The request has max_tokens {most}."
        yield Broken("usage.output_tokens", message, written, "warning")


@rule(
    "A6", "error", "The calls follow `tool_choice`.",
    on="message",
    basis="ToolChoice: `any` requires a call of a tool, `tool` a call of the named one, `none` "
    "forbids calls. `disable_parallel_tool_use` allows one call at most.",
)  # fmt: skip
def follows_the_choice(answer: CheckedBlocksMessage) -> Iterator[Broken]:
    choice, calls = members(answer.request.get("tool_choice")), answer.calls
    kind = choice.get("type")
    is_cut = answer.value.get("stop_reason") in ("max_tokens", "refusal")
    if kind in ("any", "tool") and not calls and not is_cut:
        yield Broken("content", "The request requires a call of a tool, but there is none.")
    if kind == "none" and calls:
        yield Broken(calls[0][0], "The request forbids calls of tools.", calls[0][1])
    for path, call in calls if kind == "tool" else ():
        if call.get("name") != choice.get("name"):
            message = f"The request names the tool {choice.get('name')}."
            yield Broken(f"{path}.name", message, call.get("name", ...))
    if choice.get("disable_parallel_tool_use") is True and len(calls) > 1:
        yield Broken(calls[1][0], "The request allows one call at most.", calls[1][1])


@rule(
    "A7", "error", "An answer with a status other than 2xx is of the type error.",
    on="message error",
    basis='Errors: "The JSON of an error has a top-level `error` object that always includes a '
    '`type` and `message`." The whole has `type: "error"`.',
)  # fmt: skip
def is_an_error(body: ErrorBody) -> Iterator[Broken]:
    value = body.members
    if body.fault is not None or not value:
        yield Broken("", "It is not a JSON object.")
        return
    if value.get("type") != "error":
        yield Broken("type", "It is not 'error'.", value.get("type", ...))
    for name in ("type", "message"):
        given = members(value.get("error")).get(name, ...)
        if text(given) is None:
            yield Broken(f"error.{name}", "It is not a non-empty string.", given)
