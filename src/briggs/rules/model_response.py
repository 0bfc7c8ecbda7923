"""P: what the Responses API answers, whole or as the end of a stream, is a model response.

https://platform.openai.com/docs/api-reference/responses/object
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import msgspec

from briggs.rules.book import Broken, Severity, rule
from briggs.rules.schema import find_mismatch
from briggs.types import json
from briggs.types.any_json import Members, integer, list_objects, members, number, objects, text

_READ = (
    *("id", "object", "created_at", "model", "output", "parallel_tool_calls", "tool_choice"),
    "tools",
)
_NULLABLE = ("error", "incomplete_details", "instructions", "metadata", "temperature", "top_p")
_STATUSES = ("completed", "failed", "in_progress", "cancelled", "queued", "incomplete")
_ENDED = ("completed", "failed", "incomplete")
_ITEM_STATUSES = ("in_progress", "completed", "incomplete")
_REASONS = ("max_output_tokens", "content_filter")
_COUNTS = ("input_tokens", "output_tokens", "total_tokens")
_DETAILS = {"input_tokens_details": "cached_tokens", "output_tokens_details": "reasoning_tokens"}
_ECHOED = (
    *("instructions", "max_output_tokens", "metadata", "parallel_tool_calls"),
    *("previous_response_id", "temperature", "top_p", "truncation"),
)


class CheckedModelResponse:
    """A model response, with its request if that is known."""

    def __init__(self, value: Members, request: Members | None) -> None:
        self.value = value
        self.request = request

    @cached_property
    def items(self) -> list[tuple[str, Members]]:
        """The items of the output, with their paths."""
        return list(objects(self.value.get("output"), "output"))

    @cached_property
    def parts(self) -> list[tuple[str, Members]]:
        """The parts of all messages, with their paths."""
        return [
            part
            for path, item in self.items
            if item.get("type") == "message"
            for part in objects(item.get("content"), f"{path}.content")
        ]

    @property
    def calls(self) -> list[Members]:
        """The calls of tools that the caller must answer."""
        return [item for _, item in self.items if text(item.get("type")) in _CALLS]

    @property
    def is_complete(self) -> bool:
        return self.value.get("status") == "completed"


_CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
"""The types of calls, and the member with what the model wrote."""


@rule(
    "P1", "error", "The answer is an object with `object: \"response\"` and an id.",
    on="model response",
    basis='Response: `object` is "always set to `response`"; `id` is its unique identifier.',
)  # fmt: skip
def is_a_response(answer: CheckedModelResponse) -> Iterator[Broken]:
    if answer.value.get("object") != "response":
        yield Broken("object", "It is not 'response'.", answer.value.get("object", ...))
    if text(answer.value.get("id")) is None:
        yield Broken("id", "It is not a non-empty string.", answer.value.get("id", ...))


@rule(
    "P2", "error", "Every member that Response requires is there.",
    on="model response",
    basis="Response requires id, object, created_at, model, output, parallel_tool_calls, tools and "
    "tool_choice. Members that may be null must still be there, but no client fails without them.",
)  # fmt: skip
def has_every_member(answer: CheckedModelResponse) -> Iterator[Broken]:
    for name in (*_READ, *_NULLABLE):
        if name not in answer.value:
            severity: Severity | None = "warning" if name in _NULLABLE else None
            yield Broken(name, "It is missing.", severity=severity)
    for name, kind in (("output", list), ("tools", list), ("parallel_tool_calls", bool)):
        value = answer.value.get(name, ...)
        if value is not ... and not isinstance(value, kind):
            yield Broken(name, f"It is not {_NAMES[kind]}.", value)
    if "model" in answer.value and text(answer.value["model"]) is None:
        yield Broken("model", "It is not a non-empty string.", answer.value["model"])


_NAMES: dict[type, str] = {list: "a list", bool: "true or false"}


@rule(
    "P3", "error", "created_at is a Unix time in seconds.",
    on="model response",
    basis='Response, created_at: "Unix timestamp (in seconds) of when this Response was created."',
)  # fmt: skip
def has_a_time(answer: CheckedModelResponse) -> Iterator[Broken]:
    created = answer.value.get("created_at", ...)
    if created is ...:
        return
    seconds = number(created)
    if seconds is None:
        yield Broken("created_at", "It is not a number.", created)
    elif not 1_000_000_000 <= seconds < 100_000_000_000:
        yield Broken("created_at", "It is not in seconds.", created)


@rule(
    "P4", "error", "The status is that of an answer that has ended, and its details agree.",
    on="model response",
    basis="Response, status. A failed response has an `error` with a code and a message, and an "
    "incomplete one has `incomplete_details.reason`: max_output_tokens or content_filter.",
)  # fmt: skip
def has_a_fitting_status(answer: CheckedModelResponse) -> Iterator[Broken]:
    status = answer.value.get("status", ...)
    if status not in _ENDED:
        message = "It has not ended." if status in _STATUSES else "It is not a known status."
        yield Broken("status", message, status)
    error, details = (answer.value.get(name) for name in ("error", "incomplete_details"))
    if status == "failed" and text(members(error).get("message")) is None:
        yield Broken("error", "The response failed, but there is no error with a message.", error)
    if status == "failed" and text(members(error).get("code")) is None:
        yield Broken("error.code", "It is missing.", error)
    if status == "incomplete" and members(details).get("reason") not in _REASONS:
        yield Broken("incomplete_details", "No known reason stands here.", details)
    if status == "completed" and (error is not None or details is not None):
        name = "incomplete_details" if error is None else "error"
        yield Broken(name, "The response is complete, so it is null.", answer.value[name])


@rule(
    "P5", "error", "Each item of the output has a type, and an id that no other has.",
    on="model response",
    basis="OutputItem. Clients find items by their type, and join pieces by their id.",
)  # fmt: skip
def names_items(answer: CheckedModelResponse) -> Iterator[Broken]:
    seen: set[str] = set()
    output = answer.value.get("output")
    for place, item in enumerate(output if isinstance(output, list) else ()):
        if not isinstance(item, dict):
            yield Broken(f"output[{place}]", "It is not an object.", item)
    for path, item in answer.items:
        if text(item.get("type")) is None:
            yield Broken(f"{path}.type", "It is missing.", item.get("type", ...))
        given = item.get("id", ...)
        id = text(given)
        if given is ... and text(item.get("type")) in _CALLS:
            yield Broken(f"{path}.id", "The call has no id.", severity="warning")
        elif id is None:
            yield Broken(f"{path}.id", "It is not a non-empty string.", given)
        elif id in seen:
            yield Broken(f"{path}.id", "Another item has the same id.", id)
        else:
            seen.add(id)


@rule(
    "P6", "error", "A message has the role assistant, a status, and parts of text or refusal.",
    on="model response",
    basis="OutputMessage requires id, type, role, status and content; OutputTextContent requires "
    "text and annotations; RefusalContent requires refusal.",
)  # fmt: skip
def has_whole_messages(answer: CheckedModelResponse) -> Iterator[Broken]:
    for path, item in answer.items:
        if item.get("type") != "message":
            continue
        if item.get("role") != "assistant":
            yield Broken(f"{path}.role", "It is not 'assistant'.", item.get("role", ...))
        if item.get("status") not in _ITEM_STATUSES:
            yield Broken(f"{path}.status", "It is no known status.", item.get("status", ...))
        if not isinstance(item.get("content"), list):
            yield Broken(f"{path}.content", "It is not a list.", item.get("content", ...))
    for path, part in answer.parts:
        yield from _check_part(path, part)


def _check_part(path: str, part: Members) -> Iterator[Broken]:
    kind = part.get("type")
    if kind == "output_text":
        if not isinstance(part.get("text"), str):
            yield Broken(f"{path}.text", "It is not a string.", part.get("text", ...))
        if not isinstance(part.get("annotations"), list):
            yield Broken(f"{path}.annotations", "It is not a list.", part.get("annotations", ...))
    elif kind == "refusal":
        if not isinstance(part.get("refusal"), str):
            yield Broken(f"{path}.refusal", "It is not a string.", part.get("refusal", ...))
    else:
        yield Broken(f"{path}.type", "It is neither 'output_text' nor 'refusal'.", kind or ...)


@rule(
    "P7", "error", "A call of a tool has an id of its own, a name, and arguments in JSON.",
    on="model response",
    basis="FunctionToolCall requires call_id, name and arguments, a JSON string; CustomToolCall "
    "requires call_id, name and input. A result is matched to its call by call_id.",
)  # fmt: skip
def has_whole_calls(answer: CheckedModelResponse) -> Iterator[Broken]:
    seen: set[str] = set()
    for path, item in answer.items:
        kind = text(item.get("type"))
        if kind not in _CALLS:
            continue
        for name in ("call_id", "name"):
            if text(item.get(name)) is None:
                yield Broken(f"{path}.{name}", "It is missing.", item.get(name, ...))
        id = text(item.get("call_id"))
        if id is not None and id in seen:
            yield Broken(f"{path}.call_id", "Another call has the same call_id.", id)
        seen.add(id or "")
        written = item.get(_CALLS[kind])
        if not isinstance(written, str):
            yield Broken(f"{path}.{_CALLS[kind]}", "It is not a string.", written)
        elif kind == "function_call" and answer.is_complete and not _is_json(written):
            yield Broken(f"{path}.arguments", "It is not JSON.", written)


@rule(
    "P8", "error", "Reasoning has an id and a summary, a list of texts.",
    on="model response",
    basis="ReasoningItem requires id, type and summary, whose parts are `summary_text` with text.",
)  # fmt: skip
def has_whole_reasoning(answer: CheckedModelResponse) -> Iterator[Broken]:
    for path, item in answer.items:
        if item.get("type") != "reasoning":
            continue
        if not isinstance(item.get("summary"), list):
            yield Broken(f"{path}.summary", "It is not a list.", item.get("summary", ...))
        for name, kind in (("summary", "summary_text"), ("content", "reasoning_text")):
            for place, part in objects(item.get(name), f"{path}.{name}"):
                if part.get("type") != kind or not isinstance(part.get("text"), str):
                    yield Broken(place, f"It is not '{kind}' with a text.", part)


@rule(
    "P9", "error", "The usage has three whole numbers that add up, and its details.",
    on="model response",
    basis="ResponseUsage requires input_tokens, input_tokens_details.cached_tokens, output_tokens, "
    "output_tokens_details.reasoning_tokens and total_tokens.",
)  # fmt: skip
def counts_tokens(answer: CheckedModelResponse) -> Iterator[Broken]:
    usage = answer.value.get("usage")
    if usage is None:
        if answer.is_complete:
            yield Broken("usage", "It is missing, so no cost can be known.", severity="warning")
        return
    if not isinstance(usage, dict):
        yield Broken("usage", "It is not an object.", usage)
        return
    counts = [integer(usage.get(name)) for name in _COUNTS]
    for name, count in zip(_COUNTS, counts, strict=True):
        if count is None or count < 0:
            yield Broken(f"usage.{name}", "It is not a whole number from 0.", usage.get(name, ...))
    for name, part in _DETAILS.items():
        count = integer(members(usage.get(name)).get(part))
        whole = integer(usage.get(name.removesuffix("_details")))
        if count is None or count < 0:
            yield Broken(f"usage.{name}.{part}", "It is not a whole number from 0.")
        elif whole is not None and count > whole:
            yield Broken(f"usage.{name}.{part}", f"It exceeds the whole: {whole}.", count)
    asked, answered, total = counts
    if asked is not None and answered is not None and total not in (None, asked + answered):
        yield Broken("usage.total_tokens", f"The sum is {asked + answered}.", total)


@rule(
    "P10", "error", "Log probabilities that were asked for are there, and are probabilities.",
    on="model response",
    basis="LogProb requires token, logprob, bytes and top_logprobs. They are included by "
    "`message.output_text.logprobs`, with as many alternatives as `top_logprobs` says.",
)  # fmt: skip
def has_logprobs(answer: CheckedModelResponse) -> Iterator[Broken]:
    request = answer.request or {}
    included = request.get("include")
    wanted = isinstance(included, list) and "message.output_text.logprobs" in included
    for path, part in answer.parts:
        if part.get("type") != "output_text":
            continue
        tokens = list(objects(part.get("logprobs"), f"{path}.logprobs"))
        if wanted and not tokens and part.get("text"):
            yield Broken(f"{path}.logprobs", "They were asked for, but none came.")
        for place, token in tokens:
            yield from _check_token(place, token)
            others = list_objects(token.get("top_logprobs"))
            most = integer(request.get("top_logprobs"))
            if most is not None and len(others) > most:
                message = f"More than {most} alternatives came."
                yield Broken(f"{place}.top_logprobs", message)
        said = "".join(str(token.get("token")) for _, token in tokens)
        if tokens and isinstance(part.get("text"), str) and said != part["text"]:
            message = "The tokens together are not the text."
            yield Broken(f"{path}.logprobs", message, severity="warning")


def _check_token(path: str, token: Members) -> Iterator[Broken]:
    if not isinstance(token.get("token"), str):
        yield Broken(f"{path}.token", "It is not a string.", token.get("token", ...))
    logprob = number(token.get("logprob"))
    if logprob is None or logprob > 0:
        yield Broken(f"{path}.logprob", "It is not a number up to 0.", token.get("logprob", ...))
    for name in ("bytes", "top_logprobs"):
        if not isinstance(token.get(name), list):
            yield Broken(f"{path}.{name}", "It is not a list.", severity="warning")


@rule(
    "P11", "warning", "The response repeats the settings of its request.",
    on="model response",
    basis="ResponseProperties: Response has the members of the request, with the values that were "
    "used. Clients read them to continue a conversation.",
)  # fmt: skip
def repeats_settings(answer: CheckedModelResponse) -> Iterator[Broken]:
    for name in _ECHOED:
        asked = (answer.request or {}).get(name)
        if asked is not None and answer.value.get(name) != asked:
            yield Broken(name, f"The request has {_show(asked)}.", answer.value.get(name, ...))


@rule(
    "P12", "error", "The output follows `tool_choice` and `text.format`.",
    on="model response",
    basis='CreateResponse, tool_choice: "`required` means the model must call one or more tools"; '
    "`none` means that it calls none. With `json_schema` the text follows the schema.",
)  # fmt: skip
def follows_the_request(answer: CheckedModelResponse) -> Iterator[Broken]:
    request = answer.request or {}
    choice, calls = request.get("tool_choice"), answer.calls
    if answer.is_complete and not calls and _requires_call(choice):
        yield Broken("output", "The request requires a call of a tool, but there is none.")
    if choice == "none" and calls:
        yield Broken("output", "The request forbids calls of tools.", calls[0])
    named = members(choice).get("name")
    for call in calls if members(choice).get("type") == "function" else ():
        if call.get("name") != named:
            yield Broken("output", f"The request names the tool {named}.", call.get("name"))
    form = members(members(request.get("text")).get("format"))
    if not answer.is_complete or form.get("type") not in ("json_schema", "json_object"):
        return
    for path, part in answer.parts:
        said = part.get("text")
        if part.get("type") == "output_text" and isinstance(said, str):
            yield from _check_json(f"{path}.text", said, form)


def _requires_call(choice: Any) -> bool:
    return choice == "required" or members(choice).get("type") in ("function", "custom")


def _check_json(path: str, said: str, form: Members) -> Iterator[Broken]:
    try:
        value = json.decode(said)
    except msgspec.DecodeError:
        yield Broken(path, "The request asks for JSON, and this is none.", said)
        return
    if form["type"] == "json_schema" and (mismatch := find_mismatch(value, form.get("schema"))):
        yield Broken(path, f"It does not follow the schema: {mismatch}.", said)


def _is_json(written: str) -> bool:
    try:
        json.decode(written)
    except msgspec.DecodeError:
        return False
    return True


def _show(value: Any) -> str:
    shown = json.encode_plain(value).decode("utf-8", "replace")
    return shown if len(shown) <= 60 else f"{shown[:59]}…"
