"""`BriggsCallback`: a LangChain callback that records every call of a chat model.

    model.invoke("Hello", config={"callbacks": [BriggsCallback(tags=["demo"])]})

It needs the package `langchain-core`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextvars import Context, copy_context
from typing import Any, NamedTuple
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import convert_to_openai_messages

from briggs.client.log import log

_PARAMETERS = ("temperature", "top_p", "max_tokens", "stop", "tools", "tool_choice", "seed", "n")


class _Run(NamedTuple):
    request: dict[str, Any]
    started_at: float
    context: Context
    """The tags and the session in force where the call began; it may end in another thread."""


class BriggsCallback(BaseCallbackHandler):
    """Records calls with the tags of LangChain's configuration and of `briggs.tags` blocks."""

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
        **kwargs: Any,
    ) -> None:
        """Remember what is asked."""
        given, known = invocation_params or {}, metadata or {}
        model = given.get("model") or given.get("model_name") or known.get("ls_model_name") or ""
        request = {
            "model": model,
            "messages": convert_to_openai_messages(messages[0]),
            **{name: given[name] for name in _PARAMETERS if given.get(name) is not None},
        }
        self._runs[run_id] = _Run(request, time.perf_counter(), copy_context())

    def on_llm_end(self, response: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Record what was answered."""
        self._record(run_id, response=response, tags=kwargs.get("tags"))

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Record that it failed."""
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
            # A completion of a plain prompt, which is no chat.
            return
        run.context.run(
            log,
            run.request,
            None if response is None else _read_response(response, run.request["model"]),
            tags=[*self._tags, *(tags or ())],
            duration_ms=(time.perf_counter() - run.started_at) * 1000,
            error=error,
        )


def _read_response(result: Any, model: str) -> dict[str, Any]:
    """LangChain's result as a chat completion; what it has left out stays out."""
    generations = result.generations[0]
    details = generations[0].message.response_metadata if generations else {}
    response: dict[str, Any] = {
        "id": (generations[0].message.id if generations else None) or "",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": details.get("model_name") or details.get("model") or model,
        "choices": [_read_choice(index, each) for index, each in enumerate(generations)],
    }
    usage = generations[0].message.usage_metadata if generations else None
    if usage:
        response["usage"] = {
            "prompt_tokens": usage["input_tokens"],
            "completion_tokens": usage["output_tokens"],
            "total_tokens": usage["total_tokens"],
        }
    return response


def _read_choice(index: int, generation: Any) -> dict[str, Any]:
    message = convert_to_openai_messages(generation.message)
    details = generation.message.response_metadata
    return {
        "index": index,
        "message": {"refusal": None, **message},
        "logprobs": details.get("logprobs"),
        "finish_reason": details.get("finish_reason") or details.get("stop_reason"),
    }
