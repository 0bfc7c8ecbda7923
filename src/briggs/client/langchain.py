"""`BriggsCallback`: a LangChain callback that records every chat model call.

    model.invoke("Hello", config={"callbacks": [BriggsCallback(tags=["demo"])]})

It requires the package `langchain-core`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from contextvars import Context, copy_context
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessageChunk, convert_to_openai_messages
from langchain_core.utils.function_calling import convert_to_openai_tool

from briggs.client.log import log
from briggs.types import json
from briggs.types.any_json import members
from briggs.wires.recorded.langchain import (
    NAMES,
    read_choice_of_tool,
    read_parts,
    read_reason,
    read_usage,
)

# Options that LangChain passes but does not send to the model.
_NOT_SENT = frozenset(
    {
        *("_type", "model_name", "model_kwargs", "stream", "streaming"),
        *("default_request_timeout", "max_retries", "request_timeout", "timeout"),
    }
)
_NOT_SENT_PREFIX = "ls_"
_SECRET = re.compile(r"api_?key|secret|password|credential|authorization|headers", re.IGNORECASE)


class _Run(NamedTuple):
    request: dict[str, Any]
    started_at: float
    context: Context
    """The tags and the session when the call began. The call may end in another thread."""


class BriggsCallback(BaseCallbackHandler):
    """Records calls, with the tags of LangChain's configuration and of `briggs.tags` blocks."""

    def __init__(self, *, tags: Sequence[str] = ()) -> None:
        self._tags = tuple(tags)
        self._runs: dict[UUID, _Run] = {}

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[Any]],
        *,
        run_id: UUID,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        invocation_params: dict[str, Any] | None = None,
        options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Remember the request."""
        given = {**(options or {}), **(invocation_params or {})}
        model = given.get("model") or given.get("model_name")
        request = {
            **_read_parameters(given),
            "model": model or (metadata or {}).get("ls_model_name") or "",
            "messages": [_read_message(message) for message in messages[0]],
        }
        self._runs[run_id] = _Run(request, time.perf_counter(), copy_context())

    def on_llm_new_token(self, token: str, *, run_id: UUID, **kwargs: Any) -> None:
        """Remember that the answer is streamed."""
        if (run := self._runs.get(run_id)) is not None:
            run.request["stream"] = True

    def on_llm_end(self, response: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Record the answer."""
        self._record(run_id, response=response, tags=kwargs.get("tags"))

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Record the failure."""
        self._record(run_id, error=error, tags=kwargs.get("tags"))

    def _record(
        self,
        run_id: UUID,
        *,
        response: Any = None,
        error: BaseException | None = None,
        tags: Sequence[str] | None = None,
    ) -> None:
        run = self._runs.pop(run_id, None)
        if run is None:
            # A text completion, not a chat completion.
            return
        if response is not None and _is_stream(response):
            run.request["stream"] = True
        run.context.run(
            log,
            run.request,
            None if response is None else _read_response(response, run.request["model"]),
            tags=[*self._tags, *(tags or ())],
            duration_ms=(time.perf_counter() - run.started_at) * 1000,
            error=error,
        )


def _read_parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a call under the specification's names, without secrets."""
    parameters = {}
    for name, value in {**given, **members(given.get("model_kwargs"))}.items():
        is_sent = name not in _NOT_SENT and not name.startswith(_NOT_SENT_PREFIX)
        if is_sent and value is not None and not _SECRET.search(name) and _is_json(value):
            parameters[NAMES.get(name, name)] = value
    if isinstance(tools := parameters.get("tools"), list):
        parameters["tools"] = [_read_tool(tool) for tool in tools]
    if "tool_choice" in parameters:
        parameters["tool_choice"] = read_choice_of_tool(parameters["tool_choice"])
    return parameters


def _is_json(value: Any) -> bool:
    try:
        json.encode(value)
    except (TypeError, ValueError, RecursionError, msgspec.EncodeError):
        return False
    return True


def _read_tool(tool: Any) -> Any:
    """Convert a tool to OpenAI's format. A vendor's own tool stays unchanged."""
    try:
        return convert_to_openai_tool(tool)
    except (KeyError, TypeError, ValueError):
        return tool


def _read_message(message: Any) -> dict[str, Any]:
    """Convert a message to OpenAI's format. Thinking goes to `reasoning_content`."""
    read: Any = convert_to_openai_messages(message)
    if isinstance(parts := read.get("content"), list):
        read |= read_parts(parts, has_calls=bool(read.get("tool_calls")))
    return dict(read)


def _is_stream(result: Any) -> bool:
    return any(isinstance(each.message, AIMessageChunk) for each in result.generations[0])


def _read_response(result: Any, model: str) -> dict[str, Any]:
    """LangChain's result as a chat completion. Fields that LangChain omits stay absent."""
    generations = result.generations[0]
    details = generations[0].message.response_metadata if generations else {}
    response: dict[str, Any] = {
        "id": details.get("id") or (generations[0].message.id if generations else None) or "",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": details.get("model_name") or details.get("model") or model,
        "choices": [_read_choice(index, each) for index, each in enumerate(generations)],
    }
    for name in ("system_fingerprint", "service_tier"):
        if details.get(name) is not None:
            response[name] = details[name]
    usage = generations[0].message.usage_metadata if generations else None
    if usage:
        response["usage"] = read_usage(usage)
    return response


def _read_choice(index: int, generation: Any) -> dict[str, Any]:
    message = _read_message(generation.message)
    details = {**(generation.generation_info or {}), **generation.message.response_metadata}
    return {
        "index": index,
        "message": {"refusal": generation.message.additional_kwargs.get("refusal"), **message},
        "logprobs": details.get("logprobs"),
        **read_reason(details, has_calls=bool(message.get("tool_calls"))),
    }
