"""Brings an upstream's answer to the specification, or says why that cannot be done.

A conforming answer passes as the bytes that came: it costs one decode. Of any other, what can
be restored without inventing anything is restored, and the rest is refused. The rules (E5, C2,
...) are those of the checks' comments; the specification is the page of the chat completion
object, https://platform.openai.com/docs/api-reference/chat/object.
"""

from __future__ import annotations

import time
import uuid
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from briggs.types import wire

T = TypeVar("T")

FINISH_REASONS = ("stop", "length", "tool_calls", "content_filter", "function_call")

# An answer's `created` must lie between the first month of the API and tomorrow.
CREATED_MIN = 1_672_531_200
CREATED_AHEAD_S = 86_400


class NotConforming(ValueError):
    """The answer breaks the specification in a way that cannot honestly be mended."""


class Asked(msgspec.Struct, kw_only=True, frozen=True):
    """What of the request an answer is held to."""

    completion_id: str
    """Our id, for an upstream that gives none."""
    model: str
    """The model that was asked, for an upstream that does not name it."""
    choices: int = 1
    top_logprobs: int = 0
    include_usage: bool = False


class Facts(msgspec.Struct, kw_only=True):
    """What the record wants to know of an answer."""

    id: str | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    finish_reasons: list[str] = []
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class Conformed(msgspec.Struct):
    """An answer that conforms, and what it says."""

    body: bytes
    facts: Facts


def conform_response(body: bytes, *, asked: Asked) -> Conformed:
    """The answer as it may leave Briggs. Raises `NotConforming`."""
    try:
        response = _STRICT.decode(body)
        _check(response, asked)
    except (msgspec.DecodeError, UnicodeError, NotConforming):
        return _restore(body, asked=asked)
    return Conformed(body, _read_facts(response))


def _restore(body: bytes, *, asked: Asked) -> Conformed:
    try:
        value = wire.decode(body)
    except msgspec.DecodeError as error:
        raise NotConforming(f"it is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise NotConforming("it is JSON, but no object")
    # What conforms but for a lone surrogate, which only the slow reader takes, passes as it
    # came: nothing in it is changed by restoring.
    before = wire.encode_plain(value)
    restore_response(value, asked=asked)
    after = wire.encode_plain(value)
    response = convert(value, _Response)
    _check(response, asked)
    return Conformed(body if before == after else after, _read_facts(response))


def convert(value: Any, type: type[T]) -> T:
    """A JSON value as one of the types below. Raises `NotConforming`."""
    try:
        return msgspec.convert(value, type)
    except msgspec.ValidationError as error:
        raise NotConforming(str(error)) from error
    except UnicodeEncodeError as error:
        # msgspec stumbles over half a surrogate pair where it expects something else than text.
        raise NotConforming("half a character stands where no text belongs") from error


# What conforms, as types: msgspec checks all of it in the one decode. Members that are not
# named are free. Only what the specification requires is required.

_Count = Annotated[int, Meta(ge=0)]
_NonEmpty = Annotated[str, Meta(min_length=1)]
_Byte = Annotated[int, Meta(ge=0, le=255)]
# Rounding may lift a certain token a little above 0; a probability of 2 is no probability.
_LogProbability = Annotated[float, Meta(le=0.01)]


class _TopLogprob(msgspec.Struct):
    token: str
    logprob: _LogProbability
    bytes: list[_Byte] | None


class _TokenLogprob(msgspec.Struct):
    token: str
    logprob: _LogProbability
    bytes: list[_Byte] | None
    top_logprobs: list[_TopLogprob]


class Logprobs(msgspec.Struct):
    """The `logprobs` of a choice, as they are passed on."""

    content: list[_TokenLogprob] | None
    refusal: list[_TokenLogprob] | None


class _Function(msgspec.Struct):
    name: str
    arguments: str


class _Custom(msgspec.Struct):
    name: str
    input: str


class _ToolCall(msgspec.Struct):
    id: _NonEmpty
    type: Literal["function", "custom"]
    function: _Function | UnsetType = UNSET
    custom: _Custom | UnsetType = UNSET


class _Message(msgspec.Struct):
    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    tool_calls: Annotated[list[_ToolCall], Meta(min_length=1)] | UnsetType = UNSET
    function_call: _Function | UnsetType = UNSET


class _Choice(msgspec.Struct):
    finish_reason: Literal["stop", "length", "tool_calls", "content_filter", "function_call"]
    index: _Count
    message: _Message
    logprobs: Logprobs | None


class _PromptTokensDetails(msgspec.Struct):
    cached_tokens: _Count | UnsetType = UNSET


class _CompletionTokensDetails(msgspec.Struct):
    reasoning_tokens: _Count | UnsetType = UNSET


class Usage(msgspec.Struct):
    """The `CompletionUsage` that is passed on: whole numbers that add up."""

    prompt_tokens: _Count
    completion_tokens: _Count
    total_tokens: _Count
    prompt_tokens_details: _PromptTokensDetails | UnsetType = UNSET
    completion_tokens_details: _CompletionTokensDetails | UnsetType = UNSET


class _Response(msgspec.Struct):
    id: _NonEmpty
    object: Literal["chat.completion"]
    created: int
    model: _NonEmpty
    choices: list[_Choice]
    usage: Usage | UnsetType = UNSET
    system_fingerprint: str | UnsetType | None = UNSET


_STRICT = msgspec.json.Decoder(_Response)


def _check(response: _Response, asked: Asked) -> None:
    """The rules that no type can say. Raises `NotConforming`."""
    check_created(response.created)  # E3
    indices = [choice.index for choice in response.choices]
    check_indices(indices, asked=asked.choices)  # C1, C2
    for choice in response.choices:
        calls = choice.message.tool_calls
        if choice.finish_reason == "tool_calls" and calls is UNSET:  # C4
            raise NotConforming("a choice ends with 'tool_calls' and has none")
        if choice.logprobs is not None:
            check_logprobs(choice.logprobs, top=asked.top_logprobs)
        if calls is not UNSET:
            _check_calls(calls)
    if response.usage is not UNSET:
        check_usage(response.usage)


def check_logprobs(logprobs: Logprobs, *, top: int) -> None:
    """L7: no more alternatives than were asked for. Raises `NotConforming`."""
    for tokens in (logprobs.content, logprobs.refusal):
        for token in tokens or ():
            if len(token.top_logprobs) > top:
                raise NotConforming(f"a token has more top_logprobs than the {top} asked for")


def _check_calls(calls: list[_ToolCall]) -> None:
    ids = {call.id for call in calls}
    if len(ids) < len(calls) or "null" in ids:  # M6
        raise NotConforming("two tool calls have one id")
    for call in calls:
        if (call.function is UNSET) == (call.type == "function"):
            raise NotConforming(f"a tool call of type '{call.type}' does not say what it calls")


def check_created(created: int) -> None:
    """E3: a plausible Unix time in seconds. Raises `NotConforming`."""
    if not CREATED_MIN <= created <= time.time() + CREATED_AHEAD_S:
        raise NotConforming(f"'created' is no plausible time in seconds: {created}")


def check_indices(indices: list[int], *, asked: int) -> None:
    """C1, C2: as many choices as were asked for, numbered from 0. Raises `NotConforming`."""
    if sorted(indices) != list(range(asked)):
        raise NotConforming(
            f"{asked} choice(s) were asked for, and those that came are numbered {indices}"
        )


def check_usage(usage: Usage) -> None:
    """U2: the total is the sum. Raises `NotConforming`."""
    if usage.total_tokens != usage.prompt_tokens + usage.completion_tokens:
        raise NotConforming("'usage.total_tokens' is not the sum of prompt and completion tokens")


def _read_facts(response: _Response) -> Facts:
    facts = Facts(
        id=response.id,
        model=response.model,
        system_fingerprint=response.system_fingerprint or None,
        finish_reasons=[choice.finish_reason for choice in response.choices],
    )
    if response.usage is not UNSET:
        read_usage(response.usage, into=facts)
    return facts


def read_usage(usage: Usage, *, into: Facts) -> None:
    """Copy the counts of a usage object."""
    into.prompt_tokens = usage.prompt_tokens
    into.completion_tokens = usage.completion_tokens
    into.total_tokens = usage.total_tokens
    if usage.prompt_tokens_details is not UNSET:
        into.cached_tokens = _count(usage.prompt_tokens_details.cached_tokens)
    if usage.completion_tokens_details is not UNSET:
        into.reasoning_tokens = _count(usage.completion_tokens_details.reasoning_tokens)


def _count(given: int | UnsetType) -> int | None:
    return None if given is UNSET else given


# What can be restored. Each function changes the JSON value in place where it must, and leaves
# alone what it does not understand: the types above are the judge.


def restore_response(response: dict[str, Any], *, asked: Asked) -> None:
    """Restore whatever of a response can be restored."""
    response["object"] = "chat.completion"
    response["id"] = restore_id(response.get("id"), asked=asked)
    response["created"] = restore_created(response.get("created"))
    response["model"] = restore_model(response.get("model"), asked=asked)
    if "usage" in response:
        usage = restore_usage(response["usage"])
        if usage is None:
            del response["usage"]
        else:
            response["usage"] = usage
    for choice in _list_of_objects(response.get("choices")):
        restore_logprobs(choice, top=asked.top_logprobs)
        message = choice.get("message")
        if isinstance(message, dict):
            _restore_message(message)


def restore_id(id: Any, *, asked: Asked) -> str:
    """E2: an id; our own where there is none, since that is what the record goes by."""
    return id if isinstance(id, str) and id else f"chatcmpl-{asked.completion_id}"


def restore_model(model: Any, *, asked: Asked) -> str:
    """E4: the model that answered, as far as anybody says."""
    return model if isinstance(model, str) and model else asked.model


def restore_created(created: Any) -> Any:
    """E3: whole seconds from floats, milliseconds and ISO 8601; now where there is no time."""
    if isinstance(created, str):
        try:
            created = datetime.fromisoformat(created).timestamp()
        except ValueError:
            return created
    if created in (None, 0):
        return int(time.time())
    if isinstance(created, bool) or not isinstance(created, int | float):
        return created
    return int(created / 1000 if created > 100_000_000_000 else created)


def restore_usage(usage: Any) -> dict[str, Any] | None:
    """U1, U2: whole numbers that add up, no null details; None where there are no counts."""
    if not isinstance(usage, dict):
        return None
    restored = {name: _whole(value) for name, value in usage.items()}
    for name in ("prompt_tokens_details", "completion_tokens_details"):
        details = restored.get(name)
        if isinstance(details, dict):
            restored[name] = {key: _whole(value) for key, value in details.items()}
            restored[name] = {k: value for k, value in restored[name].items() if value is not None}
        else:
            restored.pop(name, None)
    prompt, completion = restored.get("prompt_tokens"), restored.get("completion_tokens")
    if not isinstance(prompt, int) or not isinstance(completion, int):
        return None
    restored["total_tokens"] = prompt + completion
    return restored


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def restore_logprobs(choice: dict[str, Any], *, top: int) -> None:
    """E5, L2, L7: the required keys, null where there is nothing, and no more than was asked."""
    logprobs = choice.setdefault("logprobs", None)
    if not isinstance(logprobs, dict):
        return
    for name in ("content", "refusal"):
        for token in _list_of_objects(logprobs.setdefault(name, None)):
            token.setdefault("bytes", None)
            alternatives = token.setdefault("top_logprobs", [])
            for alternative in _list_of_objects(alternatives):
                alternative.setdefault("bytes", None)
            if isinstance(alternatives, list):
                token["top_logprobs"] = alternatives[:top]


def _restore_message(message: dict[str, Any]) -> None:
    restore_content(message)
    message.setdefault("content", None)
    message.setdefault("refusal", None)
    for name in ("tool_calls", "function_call", "annotations"):  # M5
        if message.get(name, UNSET) in (None, []):
            del message[name]
    for call in _list_of_objects(message.get("tool_calls")):
        call["id"] = restore_call_id(call.get("id"))
        call.setdefault("type", "function")
        if isinstance(call.get("function"), dict):
            function = call["function"]
            function["arguments"] = restore_arguments(function.get("arguments"))


def restore_content(message: dict[str, Any]) -> None:
    """M2: the text of a list of parts, its thinking beside it as `reasoning_content`."""
    parts = message.get("content")
    if not isinstance(parts, list):
        return
    text, thinking = _join_parts(parts)
    message["content"] = text
    if thinking and "reasoning_content" not in message:
        message["reasoning_content"] = thinking


def _join_parts(parts: list[Any]) -> tuple[str, str]:
    text, thinking = "", ""
    for part in parts:
        match part:
            case str():
                text += part
            case {"type": "thinking", "thinking": list(inner)}:
                thinking += _join_parts(inner)[0]
            case {"type": "thinking", "thinking": str(inner)}:
                thinking += inner
            case {"type": "text", "text": str(inner)}:
                text += inner
            case _:
                raise NotConforming("the content has a part that is neither text nor thinking")
    return text, thinking


def restore_call_id(id: Any) -> str:
    """M6: a tool call needs an id, or its result could not be sent back."""
    return id if isinstance(id, str) and id not in ("", "null") else f"call_{uuid.uuid4().hex}"


def restore_arguments(arguments: Any) -> Any:
    """M7: arguments are text; an object becomes the JSON text that says it."""
    if arguments is None:
        return ""
    return wire.encode(arguments).decode() if isinstance(arguments, dict) else arguments


def _list_of_objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def describe_error(error: Any) -> str:
    """The words of an upstream's error, whatever its shape: a string, an object, a list."""
    match error:
        case str():
            return error
        case {"message": str(message)} if message:
            return message
        case {"error": inner} | {"detail": inner} | {"message": inner}:
            return describe_error(inner)
        case _:
            return wire.encode(error).decode("utf-8", "replace")
