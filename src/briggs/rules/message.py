"""M: the message comes from the assistant: text, a refusal, or calls of the request's tools."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from briggs.rules.answer import CheckedAnswer, CheckedBody, CheckedChoice, CheckedRequest
from briggs.rules.book import Broken, Severity, also, rule
from briggs.rules.schema import find_mismatch
from briggs.rules.specification import is_call_id
from briggs.types import json
from briggs.types.any_json import integer, members, objects


@rule(
    "M1", "error", "The role is `assistant`.",
    on="response",
    basis="ChatCompletionResponseMessage: role is the constant `assistant`.",
    fix="Set to the right value.",
)  # fmt: skip
def is_the_assistants(answer: CheckedAnswer) -> Iterator[Broken]:
    for choice in answer.choices:
        role = choice.message.get("role", "assistant")
        if role != "assistant":
            yield Broken(f"{choice.message_path}.role", "It is not 'assistant'.", role)


@rule(
    "M2", "error", "The content is a string or null.",
    on="response",
    basis="ChatCompletionResponseMessage: content and refusal are each a string or null. Lists of "
    "parts are for requests.",
    fix="The texts of a list of parts are joined, and its thinking becomes reasoning_content. "
    "Text elsewhere in the choice (text, output, response) is moved to the content.",
)  # fmt: skip
def content_is_text(answer: CheckedAnswer) -> Iterator[Broken]:
    for choice in answer.choices:
        for name in ("content", "refusal"):
            value = choice.message.get(name)
            if value is not None and not isinstance(value, str):
                yield Broken(f"{choice.message_path}.{name}", "It is not a string.", value)


also("M2", on="chunk")(content_is_text)


@rule(
    "M3", "warning", "The content is null only if something else came, or a limit or filter cut "
    "the answer off.",
    on="response",
    basis="Observed in every recorded answer from OpenAI. A reader cannot tell why an answer is "
    "empty.",
)  # fmt: skip
def says_something(answer: CheckedAnswer) -> Iterator[Broken]:
    for choice in answer.choices:
        excused = choice.has_output or choice.value.get("finish_reason") in _CUT
        if "content" in choice.message and choice.message["content"] is None and not excused:
            yield Broken(f"{choice.message_path}.content", "Nothing else came instead.", None)


_CUT = ("length", "content_filter")


@rule(
    "M4", "warning", "A message that refuses has no content.",
    on="response",
    basis="Observed: content is null where refusal is a text, and the finish_reason is stop.",
)  # fmt: skip
def refuses_or_answers(answer: CheckedAnswer) -> Iterator[Broken]:
    for choice in answer.choices:
        refusal, content = choice.message.get("refusal"), choice.message.get("content")
        if isinstance(refusal, str) and refusal and isinstance(content, str):
            yield Broken(
                f"{choice.message_path}.content", "The message has a refusal too.", content
            )


@rule(
    "M5", "warning", "`tool_calls`, `function_call` and `annotations` are absent if there are "
    "none.",
    on="response",
    basis="ChatCompletionResponseMessage: none of them is nullable. 14 of 14 recorded answers "
    "leave tool_calls out rather than empty.",
    fix="Left out.",
)  # fmt: skip
def leaves_out_what_is_not(answer: CheckedAnswer) -> Iterator[Broken]:
    for choice in answer.choices:
        for name in ("tool_calls", "function_call", "annotations"):
            value = choice.message.get(name, ...)
            if value is None or (value == [] and name == "tool_calls"):
                yield Broken(f"{choice.message_path}.{name}", "Leave it out.", value)


also("M5", on="chunk")(leaves_out_what_is_not)


@rule(
    "M6", "error", "Each tool call has an id of its own, and calls a function or a custom tool.",
    on="response",
    basis="ChatCompletionMessageToolCall: id, type and function are required. The result of a "
    "call is sent back under its id.",
    fix="A call without an id of its own gets one. Its type follows from what it calls.",
)  # fmt: skip
def calls_are_told_apart(answer: CheckedAnswer) -> Iterator[Broken]:
    for choice in answer.choices:
        calls = choice.message.get("tool_calls")
        if calls is not None and not isinstance(calls, list):
            yield Broken(f"{choice.message_path}.tool_calls", "It is not a list.", calls)
        seen: set[Any] = set()
        for path, call in choice.calls:
            id = call.get("id")
            if not is_call_id(id):
                yield Broken(f"{path}.id", "It is not an id.", id)
            elif id in seen:
                yield Broken(f"{path}.id", "Another call has this id.", id)
            else:
                seen.add(id)
            yield from _check_kind(path, call)


def _check_kind(path: str, call: dict[str, Any]) -> Iterator[Broken]:
    kind = call.get("type")
    if kind not in ("function", "custom"):
        yield Broken(f"{path}.type", "It is neither 'function' nor 'custom'.", kind)
    elif not isinstance(call.get(kind), dict) or ("function" in call) == ("custom" in call):
        yield Broken(path, f"A call of type '{kind}' needs '{kind}', and only that.", call)


@rule(
    "M7", "error", "The arguments of a call are a string that holds a JSON object.",
    on="response",
    basis='ChatCompletionMessageToolCall: "The arguments to call the function with, as generated '
    "by the model in JSON format. Note that the model does not always generate valid JSON\". \"\" "
    "means no arguments.",
    fix="An object becomes a JSON string.",
)  # fmt: skip
def arguments_are_text(answer: CheckedAnswer) -> Iterator[Broken]:
    for choice, path, arguments in _arguments(answer):
        if not isinstance(arguments, str):
            yield Broken(path, "It is not a string.", arguments)
        elif choice.value.get("finish_reason") != "length" and not parses_as_object(arguments):
            yield Broken(path, "It does not hold a JSON object.", arguments, "warning")


@also("M7", on="chunk")
def argument_pieces_are_text(answer: CheckedAnswer) -> Iterator[Broken]:
    for _, path, arguments in _arguments(answer):
        if arguments is not None and not isinstance(arguments, str):
            yield Broken(path, "It is not a string.", arguments)


def _arguments(answer: CheckedAnswer) -> Iterator[tuple[CheckedChoice, str, Any]]:
    for choice in answer.choices:
        functions = [(f"{path}.function", call.get("function")) for path, call in choice.calls]
        older = (f"{choice.message_path}.function_call", choice.message.get("function_call"))
        for path, function in (*functions, older):
            if isinstance(function, dict) and "arguments" in function:
                yield choice, f"{path}.arguments", function["arguments"]
            elif isinstance(function, dict) and answer.member == "message":
                yield choice, f"{path}.arguments", None


def parses_as_object(arguments: str) -> bool:
    """Whether arguments hold a JSON object, or are empty, which means no arguments."""
    if not arguments:
        return True
    try:
        return isinstance(json.decode(arguments), dict)
    except msgspec.DecodeError:
        return False


_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@rule(
    "M8", "warning", "Each called tool is one of the request's tools.",
    on="response",
    basis='FunctionObject: "The name of the function to be called. Must be a-z, A-Z, 0-9, or '
    'contain underscores and dashes, with a maximum length of 64."',
)  # fmt: skip
def calls_what_it_was_given(answer: CheckedAnswer) -> Iterator[Broken]:
    known = _tool_names(answer.request) if answer.request else None
    for choice in answer.choices:
        for path, call in choice.calls:
            for kind in ("function", "custom"):
                name = members(call.get(kind)).get("name", ...)
                if name is ...:
                    continue
                if not isinstance(name, str) or not _NAME.fullmatch(name):
                    yield Broken(f"{path}.{kind}.name", "It is not a valid tool name.", name)
                elif known is not None and name not in known:
                    yield Broken(
                        f"{path}.{kind}.name", "The request does not allow this tool.", name
                    )


def _tool_names(request: CheckedRequest) -> set[str]:
    """The names of the tools that may be called."""
    choice = members(request.value.get("tool_choice"))
    allowed = members(choice.get("allowed_tools"))
    given = allowed["tools"] if "tools" in allowed else request.value.get("tools")
    return {
        name
        for _, tool in objects(given, "tools")
        for kind in ("function", "custom")
        if isinstance(name := members(tool.get(kind)).get("name"), str)
    }


@rule(
    "M9", "error", "If `parallel_tool_calls` is false, at most one tool is called.",
    on="response",
    basis='CreateChatCompletionRequest: "Whether to enable parallel function calling during tool '
    'use."',
)  # fmt: skip
def calls_one_at_a_time(answer: CheckedAnswer) -> Iterator[Broken]:
    if answer.request and answer.request.value.get("parallel_tool_calls") is False:
        for choice in answer.choices:
            if len(choice.calls) > 1:
                path = f"{choice.message_path}.tool_calls"
                yield Broken(path, f"{len(choice.calls)} tools are called at once.")


@rule(
    "M10", "error", "Tools are called only if `tool_choice` allows it, and always if it "
    "requires it.",
    on="response",
    basis='CreateChatCompletionRequest: "`none` means the model will not call any tool", '
    '"`required` means the model must call one or more tools".',
)  # fmt: skip
def calls_as_it_was_told(answer: CheckedAnswer) -> Iterator[Broken]:
    for choice in answer.choices:
        path = f"{choice.message_path}.tool_calls"
        wanted = answer.request.tool_choice if answer.request else None
        if wanted == "none" and choice.calls:
            yield Broken(
                path, "tool_choice is 'none', but a tool was called.", choice.message["tool_calls"]
            )
        elif wanted in ("required", "function", "custom") and not choice.calls:
            # C4 reports a finish of `tool_calls` without any.
            excuses = (*_CUT, "tool_calls")
            if choice.value.get("finish_reason") not in excuses and not choice.message.get(
                "refusal"
            ):
                yield Broken(path, "tool_choice requires a call, but no tool was called.")


@rule(
    "M11", "error", "Requested JSON is valid JSON, and follows a strict schema.",
    on="response",
    basis='CreateChatCompletionRequest, response_format: "ensures the model will match your '
    'supplied JSON schema", and json_object "ensures the message the model generates is valid '
    'JSON". It is an error if the schema is strict.',
)  # fmt: skip
def is_the_json_that_was_asked(answer: CheckedAnswer) -> Iterator[Broken]:
    format = members(answer.request.value.get("response_format")) if answer.request else {}
    if format.get("type") not in ("json_object", "json_schema"):
        return
    asked = members(format.get("json_schema"))
    strict = asked.get("strict") is True
    for choice in answer.choices:
        content, path = choice.message.get("content"), f"{choice.message_path}.content"
        if choice.value.get("finish_reason") != "stop" or choice.message.get("refusal"):
            continue
        if not isinstance(content, str):
            continue
        body = CheckedBody(content.encode("utf-8", "surrogatepass"))
        if body.fault is not None:
            slight: Severity | None = None if strict else "warning"
            yield Broken(path, f"It is not valid JSON: {body.fault}.", content, slight)
        elif strict and (mismatch := find_mismatch(body.value, asked.get("schema"))):
            yield Broken(path, f"It does not follow the schema: {mismatch}.", content)


@rule(
    "M12", "warning", "A citation lies within the content.",
    on="response",
    basis='ChatCompletionResponseMessage, url_citation: "The index of the first character of the '
    'URL citation in the message", and of the last.',
)  # fmt: skip
def cites_what_is_there(answer: CheckedAnswer) -> Iterator[Broken]:
    for choice in answer.choices:
        content = choice.message.get("content")
        length = len(content) if isinstance(content, str) else 0
        annotations = f"{choice.message_path}.annotations"
        for path, annotation in objects(choice.message.get("annotations"), annotations):
            citation = members(annotation.get("url_citation"))
            start, end = integer(citation.get("start_index")), integer(citation.get("end_index"))
            if start is not None and end is not None and not 0 <= start <= end <= length:
                message = f"It cites characters {start} to {end} of {length}."
                yield Broken(f"{path}.url_citation", message, citation)


@rule(
    "M13", "warning", "Audio comes only if requested, and expires after it was made.",
    on="response",
    basis='ChatCompletionResponseMessage: "If the audio output modality is requested, this object '
    'contains data about the audio response from the model."',
)  # fmt: skip
def speaks_if_asked(answer: CheckedAnswer) -> Iterator[Broken]:
    for choice in answer.choices:
        audio, path = choice.message.get("audio"), f"{choice.message_path}.audio"
        if not isinstance(audio, dict):
            continue
        modalities = answer.request.value.get("modalities") if answer.request else ["audio"]
        if not isinstance(modalities, list) or "audio" not in modalities:
            yield Broken(path, "The request does not ask for audio.")
        expires, created = integer(audio.get("expires_at")), integer(answer.value.get("created"))
        if expires is not None and created is not None and expires <= created:
            yield Broken(f"{path}.expires_at", "It expires before it was made.", expires)


@rule(
    "M14", "info", "No string contains U+0000 or half of a surrogate pair.",
    on="body",
    basis="Both are valid JSON, but readers fail on them: PostgreSQL rejects U+0000, and half a "
    "pair cannot be written as UTF-8.",
)  # fmt: skip
def has_whole_characters(body: CheckedBody) -> Iterator[Broken]:
    escapes = body.data.lower()
    if b"\\u0000" not in escapes and b"\\ud" not in escapes:
        return
    for path, text in _texts(body.value):
        if "\0" in text:
            yield Broken(path, "It contains U+0000.", text)
        if any("\ud800" <= character <= "\udfff" for character in text):
            yield Broken(path, "It contains half of a surrogate pair.", text)


def _texts(value: Any) -> Iterator[tuple[str, str]]:
    """Every string with its path. Without recursion, since JSON may be nested deeply."""
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, str):
            yield path, value
        elif isinstance(value, dict):
            waiting += [(path, name) for name in value]
            waiting += [(f"{path}.{name}" if path else name, value[name]) for name in value]
        elif isinstance(value, list):
            waiting += [(f"{path}[{place}]", item) for place, item in enumerate(value)]
