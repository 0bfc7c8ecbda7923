"""The messages of a request in the order that vendors ask for: each call's result follows it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from briggs.providers.identifiers import Fit, Identifiers
from briggs.providers.requests import Mends, name_calls, refuse
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

EMPTY = "(empty)"
"""What a message says that is empty, where its vendor takes no empty one."""

NO_RESULT = "(no result)"
"""What a call returned if the caller sent nothing."""


class Placed(NamedTuple):
    """A message, and where the caller put it."""

    path: str
    message: ChatCompletionRequestMessage


class _Call:
    """A call of the history, and the messages that answer it."""

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
        """Take a result for the next call with this id, or more of the last one's."""
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
    """The messages with one result for each call, right behind the message that made the call.

    The ids and the names of calls become those that the vendor takes. Raises `InvalidRequest`
    for a result without a call.
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
                raise refuse(path, f"no tool call before it has the id {message.tool_call_id!r}.")
            if arranged[-1] is not calls:
                mends.note(placed.path, "moved behind the call that it answers")
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
                # An id that comes again means the newer call.
                latest[id] = calls
                if isinstance(call, ChatCompletionMessageToolCall):
                    call.id, call.function.name = fitted, names.rewrite(call.function.name)
    messages: list[Placed] = []
    for one in arranged:
        messages += one.list_results(mends) if isinstance(one, _Calls) else [one]
    return messages


def declare_called(request: CreateChatCompletionRequest, mends: Mends) -> None:
    """Offer what was called before, where nothing is offered any more, but let none be called.

    There are vendors who take no call of a tool that is not there.
    """
    called = sorted(set(name_calls(request.messages).values()))
    if not called or request.tools:
        return
    request.tools = [
        ChatCompletionTool(function=FunctionObject(name=name, description=_PAST_TOOL))
        for name in called
    ]
    request.tool_choice = "none"
    mends.note("tools", "hold what was called before, since there are calls and no tools")


_PAST_TOOL = "No longer available: do not call it."


def _find_id(call: ToolCall) -> str:
    """The id as the caller has it."""
    return str(call.members.get("id") if isinstance(call, UnknownToolCall) else call.id)


def _join(call: _Call, mends: Mends) -> Placed:
    """The one result of a call, under the id that the vendor knows."""
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
