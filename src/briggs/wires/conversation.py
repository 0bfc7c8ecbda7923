"""Arranges messages in the order that vendors require: each call is followed by its result."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from briggs.types.messages import (
    ChatCompletionRequestAssistantMessage,
    ChatCompletionRequestMessage,
    ChatCompletionRequestMessageContentPartText,
    ChatCompletionRequestToolMessage,
    ContentPart,
)
from briggs.types.request import CreateChatCompletionRequest
from briggs.types.tools import (
    ChatCompletionMessageToolCall,
    ChatCompletionTool,
    FunctionObject,
    ToolCall,
    UnknownToolCall,
)
from briggs.wires.identifiers import Fit, Identifiers
from briggs.wires.requests import Mends, name_calls, refuse

EMPTY = "(empty)"
"""Replaces the text of an empty message, if the vendor refuses empty ones."""

CONTINUE = "(continue)"
"""The user's last message, if the model does not continue an answer of its own."""

NO_RESULT = "(no result)"
"""The result of a tool call if the caller sent none."""


class Placed(NamedTuple):
    """A message, and its place in the caller's request."""

    path: str
    message: ChatCompletionRequestMessage


class _Call:
    """A tool call in the history, and the messages that answer it."""

    def __init__(self, path: str, id: str) -> None:
        self.path = path
        self.id = id
        self.results: list[Placed] = []


class _Calls:
    """The calls of one message, and the order in which they were answered."""

    def __init__(self) -> None:
        self.all: list[_Call] = []
        self.answered: list[_Call] = []
        self._open: dict[str, deque[_Call]] = {}

    def add(self, call: _Call, *, id: str) -> None:
        self.all.append(call)
        self._open.setdefault(id, deque()).append(call)

    def answer(self, result: Placed, *, id: str) -> None:
        """Add a result to the next call with this id, or to the last one if all have results."""
        waiting = self._open[id]
        if waiting[0].results and len(waiting) > 1:
            waiting.popleft()
        if not waiting[0].results:
            self.answered.append(waiting[0])
        waiting[0].results.append(result)

    def list_results(self, mends: Mends) -> list[Placed]:
        """One result for each call."""
        unanswered = [call for call in self.all if not call.results]
        return [_join(call, mends) for call in (*self.answered, *unanswered)]


def arrange(
    given: Sequence[ChatCompletionRequestMessage],
    *,
    ids: Fit,
    names: Identifiers,
    mends: Mends,
) -> list[Placed]:
    """Put one result for each call directly after the message with the call.

    The ids and names of calls are changed to ones that the vendor accepts. Raises
    `InvalidRequest` for a result without a call.
    """
    identifiers = Identifiers(ids)
    arranged: list[Placed | _Calls] = []
    latest: dict[str, _Calls] = {}
    for position, message in enumerate(given):
        placed = Placed(f"messages[{position}]", message)
        if isinstance(message, ChatCompletionRequestToolMessage):
            calls = latest.get(message.tool_call_id)
            if calls is None:
                path = f"{placed.path}.tool_call_id"
                raise refuse(path, f"no earlier tool call has the id {message.tool_call_id!r}.")
            if arranged[-1] is not calls:
                mends.note(placed.path, "moved to follow the call that it answers")
            calls.answer(placed, id=message.tool_call_id)
            continue
        arranged.append(placed)
        if isinstance(message, ChatCompletionRequestAssistantMessage) and message.tool_calls:
            calls = _Calls()
            arranged.append(calls)
            for place, call in enumerate(message.tool_calls):
                id = _find_id(call)
                fitted = identifiers.rewrite_next(id)
                calls.add(_Call(f"{placed.path}.tool_calls[{place}]", fitted), id=id)
                # If an id occurs twice, later results belong to the newer call.
                latest[id] = calls
                if isinstance(call, ChatCompletionMessageToolCall):
                    call.id, call.function.name = fitted, names.rewrite(call.function.name)
    messages: list[Placed] = []
    for one in arranged:
        messages += one.list_results(mends) if isinstance(one, _Calls) else [one]
    return messages


def declare_called(request: CreateChatCompletionRequest, mends: Mends) -> None:
    """If a request has earlier calls but no tools, declare those tools but forbid calls.

    Some vendors refuse a call of a tool that the request does not declare.
    """
    called = sorted(set(name_calls(request.messages).values()))
    if not called or request.tools:
        return
    request.tools = [
        ChatCompletionTool(function=FunctionObject(name=name, description=_PAST_TOOL))
        for name in called
    ]
    request.tool_choice = "none"
    mends.note("tools", "declare the functions that were called before, since there are none")


_PAST_TOOL = "No longer available: do not call it."


def _find_id(call: ToolCall) -> str:
    """The caller's id of a call."""
    return str(call.members.get("id") if isinstance(call, UnknownToolCall) else call.id)


def _join(call: _Call, mends: Mends) -> Placed:
    """Join a call's results into one, with the id that the vendor gets."""
    if not call.results:
        mends.note(call.path, f"answered with {NO_RESULT!r}, since no message answers it")
        made = ChatCompletionRequestToolMessage(content=NO_RESULT, tool_call_id=call.id)
        made.extra["is_error"] = True
        return Placed(call.path, made)
    path, message = call.results[0]
    assert isinstance(message, ChatCompletionRequestToolMessage), "only these are results"
    message.tool_call_id = call.id
    if len(call.results) > 1:
        mends.note(path, "joined with the other results of its call")
        message.content = [part for result in call.results for part in _list_parts(result.message)]
    return Placed(path, message)


def _list_parts(message: Any) -> list[ContentPart]:
    if isinstance(message.content, str):
        return [ChatCompletionRequestMessageContentPartText(text=message.content)]
    return list(message.content)
