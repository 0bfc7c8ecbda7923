"""The fold: joins the chunks of a stream into one `CreateChatCompletionResponse`."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Any

from briggs.types import json
from briggs.types.chunk import CreateChatCompletionStreamResponse
from briggs.types.response import CreateChatCompletionResponse

Pieces = dict[str, list[Any]]
"""The values that came for each member of an object, in order."""


def fold(chunks: Iterable[CreateChatCompletionStreamResponse]) -> CreateChatCompletionResponse:
    """Join the chunks of a complete stream into a response.

    Raises `msgspec.ValidationError` if the result is not a valid response: for example, if the
    stream was cut and a choice has no `finish_reason`.
    """
    folded = Fold()
    for chunk in chunks:
        folded.add(json.to_builtins(chunk))
    return json.from_builtins(folded.response(), CreateChatCompletionResponse)


class Fold:
    """Collects chunks as plain JSON, even if they do not follow the specification.

    It rejects nothing and invents nothing. A required member that never came is null, or empty
    if null is not allowed. An optional member that never came is absent.
    """

    def __init__(self) -> None:
        self._first: dict[str, Any] = {}
        self._last: dict[str, Any] = {}
        self._choices: dict[int, _FoldedChoice] = {}

    def add(self, chunk: dict[str, Any]) -> None:
        """Add the next chunk. Its parts must not be changed afterwards."""
        first = self._first
        for name, value in chunk.items():
            if name in _FIRST:
                if not first.get(name):
                    first[name] = value
            elif name == "choices":
                for position, choice in enumerate(_objects(value)):
                    self._choice_at(_index(choice, position)).add(choice)
            elif value is not None:
                self._last[name] = value
            else:
                self._last.setdefault(name)

    def contents(self, index: int) -> list[Any]:
        """The pieces of a choice's content. A caller with only more text may append to them."""
        return self._choice_at(index).contents()

    @property
    def pieces(self) -> int:
        """How many pieces of messages have arrived."""
        return sum(choice.pieces for choice in self._choices.values())

    def response(self) -> dict[str, Any]:
        """The response so far. It may be called at any time."""
        choices = sorted(self._choices.items())
        usage = self._usage()
        return {
            "id": self._first.get("id") or "",
            "object": "chat.completion",
            "created": self._first.get("created") or 0,
            "model": self._first.get("model") or "",
            "choices": [choice.folded(index) for index, choice in choices],
            **({"usage": usage} if usage else {}),
            **{name: self._first[name] for name in _FIRST_OPTIONAL if name in self._first},
            **{name: value for name, value in self._last.items() if name not in _DROPPED},
        }

    def _choice_at(self, index: int) -> _FoldedChoice:
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _FoldedChoice()
        return choice

    def _usage(self) -> dict[str, Any] | None:
        """The last usage. Some vendors put it into another member, or into a choice."""
        hidden = [*self._last.values(), *(choice.last for choice in self._choices.values())]
        found = [place.get("usage") for place in (self._last, *hidden) if isinstance(place, dict)]
        return next((usage for usage in found if usage and isinstance(usage, dict)), None)


# These should be the same in every chunk. The first value that is not empty counts.
_FIRST_OPTIONAL = ("system_fingerprint", "service_tier")
_FIRST = frozenset({"id", "created", "model", *_FIRST_OPTIONAL})

# These belong to a chunk only, or are handled elsewhere.
_DROPPED = frozenset({"object", "usage", "obfuscation"})


class _FoldedChoice:
    """The choice of one index."""

    def __init__(self) -> None:
        self.last: dict[str, Any] = {}
        """Unknown members. The last value counts."""
        self._lists: dict[str, list[Any]] = {}
        """Unknown members that are lists, such as vLLM's `token_ids`. Their items are joined."""
        self._finish_reason: Any = None
        self._role: Any = None
        self._logprobs: Pieces | None = None
        self._message: Pieces = {}
        self._calls: list[_ToolCall] = []
        self._named: dict[tuple[int, str], _ToolCall] = {}
        """The first call of each index and id."""
        self._current: dict[int, _ToolCall] = {}
        """The call at each index that the last delta belonged to."""

    def add(self, choice: dict[str, Any]) -> None:
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            # Some providers send a whole message instead of deltas.
            delta = choice.get("message")
        is_older = not isinstance(delta, dict) and isinstance(choice.get("text"), str)
        if isinstance(delta, dict):
            self._add_delta(delta)
        elif is_older:
            # The older text completions have their text in the choice itself.
            self.contents().append(choice["text"])
        for name, value in choice.items():
            if name in _SPELLED or (is_older and name == "text"):
                continue
            if name == "finish_reason":
                self._finish_reason = value or self._finish_reason
            elif name == "logprobs":
                self._add_logprobs(value)
            elif isinstance(value, list):
                self._lists.setdefault(name, []).extend(value)
            elif value is not None:
                self.last[name] = value
            else:
                self.last.setdefault(name)

    def contents(self) -> list[Any]:
        return self._message.setdefault("content", [])

    @property
    def pieces(self) -> int:
        return sum(map(len, self._message.values())) + sum(call.deltas for call in self._calls)

    def folded(self, index: int) -> dict[str, Any]:
        logprobs = self._logprobs
        return {
            "index": index,
            "message": self._folded_message(),
            "logprobs": None if logprobs is None else _joined_members(logprobs, *_LOGPROBS),
            "finish_reason": self._finish_reason,
            **self.last,
            **{name: list(items) for name, items in self._lists.items()},
        }

    def _folded_message(self) -> dict[str, Any]:
        message = _joined_members(self._message, "content", "refusal")
        if message["refusal"] and not message["content"]:
            # The first chunk's content may be an empty string. A refusal has no content.
            message["content"] = None
        for name in _NEVER_NULL:
            if message.get(name, "") is None:
                del message[name]
        if calls := sorted(self._calls, key=lambda call: call.index):
            message["tool_calls"] = [call.folded() for call in calls]
        if function_call := _objects(self._message.get("function_call")):
            pieces = _collect(function_call)
            message["function_call"] = _folded_function(pieces, text="arguments")
        if audio := _objects(self._message.get("audio")):
            message["audio"] = _folded_audio(_collect(audio))
        return {"role": self._role or "assistant", **message}

    def _add_logprobs(self, logprobs: Any) -> None:
        if isinstance(logprobs, dict):
            self._logprobs = _add_members(logprobs, into=self._logprobs or {})

    def _add_delta(self, delta: dict[str, Any]) -> None:
        message = self._message
        for name, value in delta.items():
            if name == "role":
                self._role = self._role or value
            elif name == "tool_calls":
                for position, call in enumerate(_objects(value)):
                    self._call_of(call, _index(call, position)).add(call)
            elif name in message:
                message[name].append(value)
            else:
                message[name] = [value]

    def _call_of(self, delta: dict[str, Any], index: int) -> _ToolCall:
        """The call that a delta belongs to. A different id at a used index is another call."""
        call = self._current.get(index)
        if call is None or call.differs(delta):
            id = delta.get("id")
            call = self._named.get((index, id)) if isinstance(id, str) else None
            if call is None:
                call = _ToolCall(index)
                self._calls.append(call)
            self._current[index] = call
        id = call.id or delta.get("id")
        if isinstance(id, str) and id:
            self._named.setdefault((index, id), call)
        return call


class _ToolCall:
    """One tool call: of a function or a custom tool."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.id: Any = None
        self._type: Any = None
        self._functions: dict[str, Pieces] = {}
        self._last: dict[str, Any] = {}
        self.deltas = 0
        """How many deltas have arrived."""

    def add(self, delta: dict[str, Any]) -> None:
        self.deltas += 1
        for name, value in delta.items():
            if name == "id":
                self.id = self.id or value
            elif name == "type":
                self._type = self._type or value
            elif isinstance(value, dict) and name in _FUNCTIONS:
                _add_members(value, into=self._functions.setdefault(name, {}))
            elif value is not None and name != "index":
                self._last[name] = value

    def differs(self, delta: dict[str, Any]) -> bool:
        """Whether a delta at our index belongs to another call, by its id or else its name."""
        id = delta.get("id")
        if id or self.id:
            return bool(id and self.id and id != self.id)
        function = delta.get("function")
        name = function.get("name") if isinstance(function, dict) else None
        ours = self._functions.get("function", {}).get("name", [])
        return bool(name and any(ours) and name not in ours)

    def folded(self) -> dict[str, Any]:
        type = self._type or next(iter(self._functions), None)
        return {
            **({"id": self.id} if self.id is not None else {}),
            **({"type": type} if type is not None else {}),
            **{
                name: _folded_function(pieces, text=_FUNCTIONS[name])
                for name, pieces in self._functions.items()
            },
            **self._last,
        }


_SPELLED = frozenset({"delta", "index", "message"})
_LOGPROBS = ("content", "refusal")
_NEVER_NULL = ("annotations", "function_call")
_FUNCTIONS = {"function": "arguments", "custom": "input"}


def _folded_function(pieces: Pieces, *, text: str) -> dict[str, Any]:
    """A function with its first name, and its arguments joined in the member `text`."""
    folded: dict[str, Any] = {}
    for name, values in pieces.items():
        given = [value for value in values if value is not None]
        if name == text:
            folded[name] = join_text([_spelled(value) for value in given])
        elif name == "name":
            folded[name] = next(filter(None, given), "")
        else:
            folded[name] = given[-1] if given else None
    folded.setdefault(text, "")
    return folded


def _spelled(value: Any) -> str:
    return value if isinstance(value, str) else join_text([json.encode(value).decode()])


def _folded_audio(pieces: Pieces) -> dict[str, Any]:
    audio = _joined_members({name: pieces[name] for name in pieces if name not in ("id", "data")})
    ids = [id for id in pieces.get("id", []) if id]
    data = [data for data in pieces.get("data", []) if isinstance(data, str)]
    return {
        **({"id": ids[0]} if ids else {}),
        **({"data": _join_base64(data)} if data else {}),
        **audio,
    }


def _join_base64(pieces: list[str]) -> str:
    """Join base64 pieces: each is complete, or together they are one text."""
    try:
        data = b"".join(base64.b64decode(piece, validate=True) for piece in pieces)
    except (binascii.Error, ValueError):
        return "".join(pieces)
    return base64.b64encode(data).decode()


def _joined_members(pieces: Pieces, *required: str) -> dict[str, Any]:
    members: dict[str, Any] = dict.fromkeys(required)
    return members | {name: _joined(values) for name, values in pieces.items()}


def _joined(values: list[Any]) -> Any:
    """Join strings and lists. For anything else, the last value counts."""
    given = [value for value in values if value is not None]
    if not given:
        return None
    if all(isinstance(value, str) for value in given):
        return join_text(given)
    if any(isinstance(value, list) for value in given):
        lists = [value if isinstance(value, list) else [value] for value in given if value != ""]
        return [item for items in lists for item in items]
    return given[-1]


def join_text(pieces: list[str]) -> str:
    text = "".join(pieces)
    try:
        text.encode()
    except UnicodeEncodeError:
        # A surrogate pair may come in two deltas. A half of one may also stay alone.
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return text


def _add_members(members: dict[str, Any], *, into: Pieces) -> Pieces:
    for name, value in members.items():
        into.setdefault(name, []).append(value)
    return into


def _collect(objects: list[dict[str, Any]]) -> Pieces:
    pieces: Pieces = {}
    for members in objects:
        _add_members(members, into=pieces)
    return pieces


def _objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list, or a single object in place of a list."""
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, dict)]


def _index(item: dict[str, Any], position: int) -> int:
    """The index of a choice or a call. Without one, its place in the list."""
    index = item.get("index")
    if type(index) is int:
        return index
    try:
        return int(index)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return position
