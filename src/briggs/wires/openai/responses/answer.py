"""Writes a chat completion as a response.

https://platform.openai.com/docs/api-reference/responses/object
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from briggs.types import json
from briggs.types.any_json import Members, integer, list_objects, members, text
from briggs.types.completions import Completion
from briggs.wires.openai.responses.items import ResponseItem
from briggs.wires.openai.responses.request import asks_logprobs

Response = dict[str, Any]

RESPONSE_PREFIX = "resp_"
_ID_DIGITS = 32

# The parameters that a response repeats, with their values if the caller gave none.
_REPEATED: dict[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "store": True,
    "temperature": None,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


def write_answer(body: bytes, *, completion: Completion) -> bytes:
    """Write a whole answer, given as a `CreateChatCompletionResponse`."""
    answer, asked = json.decode(body), json.decode(completion.request)
    return json.encode_plain(write_response(answer, asked=asked, completion=completion))


def write_response(answer: dict[str, Any], *, asked: Members, completion: Completion) -> Response:
    """The response for a chat completion: its output items, how it ended, and its usage."""
    choice = members(next(iter(list_objects(answer.get("choices"))), None))
    reason = _INCOMPLETE.get(choice.get("finish_reason", ""))
    usage = answer.get("usage")
    is_completed = reason is None and completion.duration_ms is not None
    return {
        **begin_response(answer, asked=asked, completion=completion),
        "status": "incomplete" if reason else "completed",
        "completed_at": _find_end(completion) if is_completed else None,
        "incomplete_details": {"reason": reason} if reason else None,
        "output": _list_items(choice, asked=asked, completion=completion),
        "usage": _write_usage(usage) if isinstance(usage, dict) else None,
    }


def begin_response(answer: dict[str, Any], *, asked: Members, completion: Completion) -> Response:
    """A response in progress. `answer` is a chat completion, or the first chunk of one."""
    repeated = {
        name: asked[name] if asked.get(name) is not None else value
        for name, value in _REPEATED.items()
    }
    conversation = asked.get("conversation")
    reasoning, said = members(asked.get("reasoning")), members(asked.get("text"))
    return {
        "id": write_id(completion.id),
        "object": "response",
        "created_at": completion.created_at // 1_000_000,
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "model": answer.get("model") or completion.model,
        "output": [],
        **repeated,
        "tools": [_write_tool(tool) for tool in repeated["tools"]],
        "conversation": {"id": conversation} if isinstance(conversation, str) else conversation,
        "reasoning": {"effort": None, "summary": None, **reasoning},
        "service_tier": text(answer.get("service_tier")),
        "text": {"format": {"type": "text"}, "verbosity": "medium", **_drop_nulls(said)},
        "usage": None,
    }


def fail_response(
    answer: dict[str, Any],
    *,
    asked: Members,
    completion: Completion,
    http_status: int | None,
    reason: str,
) -> Response:
    """A response that failed. `answer` is what had come of the chat completion."""
    code = "rate_limit_exceeded" if http_status == 429 else "server_error"
    return {
        **write_response(answer, asked=asked, completion=completion),
        "status": "failed",
        "error": {"code": code, "message": reason},
        "incomplete_details": None,
        "completed_at": None,
        "usage": None,
    }


def write_id(completion_id: str) -> str:
    """The id of the response to a completion."""
    return RESPONSE_PREFIX + completion_id.replace("-", "")


def read_id(id: str) -> str | None:
    """The id of the completion that a response or one of its items belongs to, if it is ours."""
    digits = id.partition("_")[2][:_ID_DIGITS].lower()
    if len(digits) < _ID_DIGITS or not set(digits) <= set("0123456789abcdef"):
        return None
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


class Items:
    """Begins the output items of one response. The id of each depends only on what it is."""

    def __init__(self, completion: Completion) -> None:
        self._digits = completion.id.replace("-", "")

    def reasoning(self) -> ResponseItem:
        """Reasoning without text."""
        id = f"rs_{self._digits}"
        return {"id": id, "type": "reasoning", "summary": [], "content": []}

    def message(self) -> ResponseItem:
        """A message without parts."""
        begun = {"id": f"msg_{self._digits}", "type": "message", "status": "in_progress"}
        return {**begun, "role": "assistant", "content": []}

    def call(self, number: int, kind: ToolKind, *, id: str, name: str) -> ResponseItem:
        """A call of a tool, without its arguments."""
        prefix, item, status = _CALLS[kind]
        begun = {"id": f"{prefix}_{self._digits}{number:x}", "type": item, **status}
        return {**begun, "call_id": id, "name": name, ARGUMENTS[kind]: ""}


ToolKind = Literal["function", "custom"]
ARGUMENTS: dict[ToolKind, str] = {"function": "arguments", "custom": "input"}
"""The member with the text that a tool gets, by the kind of the tool."""
_CALLS: dict[ToolKind, tuple[str, str, dict[str, str]]] = {
    "function": ("fc", "function_call", {"status": "in_progress"}),
    "custom": ("ctc", "custom_tool_call", {}),
}


def text_part(said: str, *, logprobs: list[Any] = [], annotations: list[Any] = []) -> ResponseItem:  # noqa: B006
    """A part of a message."""
    return {"type": "output_text", "annotations": annotations, "logprobs": logprobs, "text": said}


def refusal_part(said: str) -> ResponseItem:
    """A part of a message in which the model refuses to answer."""
    return {"type": "refusal", "refusal": said}


def reasoning_part(said: str) -> ResponseItem:
    """The text of the model's reasoning."""
    return {"type": "reasoning_text", "text": said}


def find_reasoning(message: Mapping[str, Any]) -> str:
    """The reasoning in a message or a delta, under either of its names."""
    return text(message.get("reasoning_content")) or text(message.get("reasoning")) or ""


def write_logprobs(tokens: Any) -> list[ResponseItem]:
    """The logprobs of a part."""
    return [
        {**_write_token(token), "top_logprobs": list(map(_write_token, tops))}
        for token in list_objects(tokens)
        for tops in [list_objects(token.get("top_logprobs"))]
    ]


def write_annotations(annotations: Any) -> list[ResponseItem]:
    """The citations of web pages. A response has no place for others."""
    return [
        {"type": "url_citation", **members(annotation["url_citation"])}
        for annotation in list_objects(annotations)
        if annotation.get("type") == "url_citation" and "url_citation" in annotation
    ]


def read_call(call: Mapping[str, Any]) -> tuple[ToolKind, str, str]:
    """The kind of a tool call, its name, and the text that the tool gets."""
    if isinstance(custom := call.get("custom"), dict):
        return "custom", text(custom.get("name")) or "", text(custom.get("input")) or ""
    function = members(call.get("function"))
    return "function", text(function.get("name")) or "", text(function.get("arguments")) or ""


def finish_item(item: ResponseItem, finish_reason: Any) -> ResponseItem:
    """An item that is whole, or the last one of an answer that was cut short."""
    if "status" not in item:
        return item
    return {**item, "status": "incomplete" if finish_reason in _INCOMPLETE else "completed"}


def _find_end(completion: Completion) -> int:
    """Unix time in seconds when the answer was whole."""
    return (completion.created_at + round((completion.duration_ms or 0) * 1000)) // 1_000_000


def _list_items(
    choice: dict[str, Any], *, asked: Members, completion: Completion
) -> list[ResponseItem]:
    message = members(choice.get("message"))
    reason = choice.get("finish_reason")
    items = Items(completion)
    output: list[ResponseItem] = []
    if thought := find_reasoning(message):
        output.append({**items.reasoning(), "content": [reasoning_part(thought)]})
    calls = list_objects(message.get("tool_calls"))
    if parts := _list_parts(message, choice, asked=asked, is_alone=not calls):
        output.append(finish_item({**items.message(), "content": parts}, None))
    for number, call in enumerate(calls):
        kind, name, given = read_call(call)
        item = items.call(number, kind, id=text(call.get("id")) or "", name=name)
        output.append(finish_item({**item, ARGUMENTS[kind]: given}, None))
    return [*output[:-1], *(finish_item(item, reason) for item in output[-1:])]


def _list_parts(
    message: dict[str, Any], choice: dict[str, Any], *, asked: Members, is_alone: bool
) -> list[ResponseItem]:
    content, refusal = message.get("content"), text(message.get("refusal"))
    parts: list[ResponseItem] = []
    if isinstance(content, str) and (content or (is_alone and not refusal)):
        logprobs = members(choice.get("logprobs")).get("content") if asks_logprobs(asked) else ()
        parts.append(
            text_part(
                content,
                logprobs=write_logprobs(logprobs),
                annotations=write_annotations(message.get("annotations")),
            )
        )
    if refusal:
        parts.append(refusal_part(refusal))
    return parts


def _write_token(token: dict[str, Any]) -> ResponseItem:
    said = str(token.get("token", ""))
    given = token.get("bytes")
    spelled = given if isinstance(given, list) else list(said.encode("utf-8", "surrogatepass"))
    return {"token": said, "bytes": spelled, "logprob": token.get("logprob")}


def _write_tool(tool: Any) -> Any:
    if not isinstance(tool, dict) or tool.get("type") != "function":
        return tool
    given = {"description": None, "parameters": None, **tool}
    return {**given, "strict": bool(tool.get("strict"))}


def _write_usage(usage: dict[str, Any]) -> dict[str, Any]:
    prompt = members(usage.get("prompt_tokens_details"))
    completion = members(usage.get("completion_tokens_details"))
    return {
        "input_tokens": usage.get("prompt_tokens"),
        "input_tokens_details": {
            name: integer(prompt.get(name)) or 0 for name in ("cached_tokens", "cache_write_tokens")
        },
        "output_tokens": usage.get("completion_tokens"),
        "output_tokens_details": {
            "reasoning_tokens": integer(completion.get("reasoning_tokens")) or 0
        },
        "total_tokens": usage.get("total_tokens"),
    }


def _drop_nulls(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
