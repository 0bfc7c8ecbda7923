"""Writes the chunks of a chat completion as the events of a streamed response.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from briggs.types import json
from briggs.types.any_json import list_objects, members, text
from briggs.types.completions import Completion
from briggs.types.errors import BriggsError
from briggs.types.fold import Fold, join_text
from briggs.wires.openai.responses.answer import (
    ARGUMENTS,
    Items,
    ToolKind,
    begin_response,
    fail_response,
    find_reasoning,
    finish_item,
    read_call,
    reasoning_part,
    refusal_part,
    text_part,
    write_annotations,
    write_logprobs,
    write_response,
)
from briggs.wires.openai.responses.items import ResponseItem
from briggs.wires.openai.responses.request import asks_logprobs

ResponseEvent = dict[str, Any]
PartKind = Literal["reasoning", "text", "refusal"]

_NUMBER = re.compile(rb'"sequence_number": ?(\d{1,9})')
# The events of each kind of text: the beginning of their names, and the member of the last one.
_NAMES: dict[PartKind | ToolKind, tuple[str, str]] = {
    "reasoning": ("response.reasoning_text", "text"),
    "text": ("response.output_text", "text"),
    "refusal": ("response.refusal", "refusal"),
    "function": ("response.function_call_arguments", ARGUMENTS["function"]),
    "custom": ("response.custom_tool_call_input", ARGUMENTS["custom"]),
}


class ResponseFrames:
    """Server-sent events.

    An item begins with its first delta, and ends when the next item or the answer does. If more
    of it comes after that, it ends again.
    """

    def __init__(self, completion: Completion) -> None:
        self._completion = completion
        self._asked = json.decode(completion.request)
        self._asks_logprobs = asks_logprobs(self._asked)
        self._fold = Fold()
        self._number = 0
        self._response: ResponseItem = {}
        """The response as it began. Empty before the first chunk."""
        self._items = Items(completion)
        self._opened: dict[str, _OpenItem] = {}
        """The items so far, by id."""
        self._calls: dict[int, _OpenItem] = {}
        self._tokens: list[ResponseItem] = []
        """Logprobs that wait for their text."""

    def write(self, chunks: Sequence[bytes]) -> bytes:
        return b"".join([self._encode(event) for chunk in chunks for event in self._read(chunk)])

    def end(self) -> bytes:
        return b"".join(map(self._encode, self._end()))

    def fail(self, error: BriggsError, *, passed: bytes) -> bytes:
        """The last frames of a stream that failed.

        After `response.failed` comes the event `error`. It has the members of the specification,
        and the member `error`, without which OpenAI's own clients would raise nothing.
        """
        events: list[ResponseEvent] = []
        if numbers := _NUMBER.findall(passed):
            self._number = int(numbers[-1]) + 1
        elif self._response:
            failed = fail_response(
                self._fold.response(),
                asked=self._asked,
                completion=self._completion,
                http_status=error.http_status,
                reason=error.message,
            )
            events.append({"type": "response.failed", "response": failed})
        details = error.to_object()["error"]
        told = {name: details[name] for name in ("code", "message", "param")}
        events.append({"type": "error", **told, "error": details})
        return b"".join(map(self._encode, events))

    def _encode(self, event: ResponseEvent) -> bytes:
        numbered = {"type": event["type"], "sequence_number": self._number, **event}
        self._number += 1
        return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), json.encode_plain(numbered))

    def _read(self, payload: bytes) -> Iterator[ResponseEvent]:
        chunk = json.decode(payload)
        self._fold.add(chunk)
        if not self._response:
            self._response = begin_response(chunk, asked=self._asked, completion=self._completion)
            yield {"type": "response.created", "response": self._response}
            yield {"type": "response.in_progress", "response": self._response}
        for choice in list_objects(chunk.get("choices")):
            delta = members(choice.get("delta"))
            if thought := find_reasoning(delta):
                yield from self._add(self._items.reasoning(), "reasoning", thought)
            yield from self._add_text(delta, members(choice.get("logprobs")))
            if citations := write_annotations(delta.get("annotations")):
                yield from self._cite(citations)
            if said := text(delta.get("refusal")):
                yield from self._add(self._items.message(), "refusal", said)
            for call in list_objects(delta.get("tool_calls")):
                yield from self._add_call(call)

    def _add_text(self, delta: dict[str, Any], logprobs: dict[str, Any]) -> Iterator[ResponseEvent]:
        """Add a text and its logprobs. Some vendors send them in chunks without a text."""
        if self._asks_logprobs:
            self._tokens += write_logprobs(logprobs.get("content"))
        said = text(delta.get("content"))
        message = self._opened.get(self._items.message()["id"])
        if said or (self._tokens and message is not None and message.has("text")):
            tokens, self._tokens = self._tokens, []
            yield from self._add(self._items.message(), "text", said or "", logprobs=tokens)

    def _add(
        self,
        begun: ResponseItem,
        kind: PartKind,
        said: str,
        *,
        logprobs: Sequence[ResponseItem] = (),
    ) -> Iterator[ResponseEvent]:
        """Add to a part of the message or of the reasoning."""
        item = self._opened.get(begun["id"])
        if item is None:
            yield from self._close_all()
            item, event = self._open(begun)
            yield event
        yield from item.add(kind, said, logprobs=logprobs)

    def _cite(self, citations: list[ResponseItem]) -> Iterator[ResponseEvent]:
        message = self._opened.get(self._items.message()["id"])
        if message is not None:
            yield from message.cite(citations)

    def _add_call(self, delta: dict[str, Any]) -> Iterator[ResponseEvent]:
        index = delta.get("index", 0)
        kind, name, given = read_call(delta)
        item = self._calls.get(index)
        if item is None:
            if not name:
                # It is told as a whole at the end.
                return
            yield from self._close_all()
            id = text(delta.get("id")) or ""
            item, event = self._open(self._items.call(len(self._calls), kind, id=id, name=name))
            self._calls[index] = item
            yield event
        if given:
            yield from item.add(kind, given)

    def _open(self, begun: ResponseItem) -> tuple[_OpenItem, ResponseEvent]:
        item = _OpenItem(begun, output_index=len(self._opened))
        self._opened[begun["id"]] = item
        return item, {
            "type": "response.output_item.added",
            "output_index": item.output_index,
            "item": begun,
        }

    def _close_all(self, finish_reason: Any = None) -> Iterator[ResponseEvent]:
        for item in self._opened.values():
            if item.is_open:
                yield from item.close(finish_reason)

    def _end(self) -> Iterator[ResponseEvent]:
        answer = self._fold.response()
        response = write_response(answer, asked=self._asked, completion=self._completion)
        choice = members(next(iter(answer["choices"]), None))
        yield from self._close_all(choice.get("finish_reason"))
        for whole in response["output"]:
            if whole["id"] not in self._opened:
                yield from self._tell_whole(whole)
        yield {"type": f"response.{response['status']}", "response": response}

    def _tell_whole(self, whole: ResponseItem) -> Iterator[ResponseEvent]:
        """Tell an item that had no deltas, such as an empty message."""
        begun = {**whole, "content": []} if whole["type"] == "message" else whole
        item, event = self._open({**begun, "status": "in_progress"} if "status" in whole else begun)
        yield event
        for part in whole.get("content", ()):
            yield from item.add("text", part["text"], logprobs=part["logprobs"])
        yield from item.close(None, whole=whole)


class _OpenItem:
    """An output item that has begun."""

    def __init__(self, begun: ResponseItem, *, output_index: int) -> None:
        self.output_index = output_index
        self.is_open = True
        self._begun = begun
        self._parts: dict[PartKind | ToolKind, _Part] = {}
        """In the order of their beginnings."""

    def add(
        self, kind: PartKind | ToolKind, said: str, *, logprobs: Sequence[ResponseItem] = ()
    ) -> Iterator[ResponseEvent]:
        """Add a text to a part, which may begin with it, or to the arguments of a call."""
        self.is_open = True
        part = self._parts.get(kind)
        if part is None:
            part = self._parts[kind] = _Part(len(self._parts))
            if (empty := part.write(kind)) is not None:
                yield self._place("response.content_part.added", part, part=empty)
        part.pieces.append(said)
        part.logprobs += logprobs
        told = {"logprobs": logprobs} if kind == "text" else {}
        is_call = kind in ARGUMENTS
        yield self._place(f"{_NAMES[kind][0]}.delta", None if is_call else part, delta=said, **told)

    def has(self, kind: PartKind) -> bool:
        """Whether a part has begun."""
        return kind in self._parts

    def cite(self, citations: list[ResponseItem]) -> Iterator[ResponseEvent]:
        """Add citations to the text."""
        if (part := self._parts.get("text")) is None:
            return
        self.is_open = True
        for citation in citations:
            number = {"annotation_index": len(part.annotations), "annotation": citation}
            part.annotations.append(citation)
            yield self._place("response.output_text.annotation.added", part, **number)

    def close(
        self, finish_reason: Any, *, whole: ResponseItem | None = None
    ) -> Iterator[ResponseEvent]:
        """End the item."""
        self.is_open = False
        for kind, part in self._parts.items():
            name, member = _NAMES[kind]
            told: ResponseEvent = {member: part.text}
            if kind in ARGUMENTS:
                if kind == "function":
                    told["name"] = self._begun["name"]
                yield self._place(f"{name}.done", None, **told)
                continue
            if kind == "text":
                told["logprobs"] = part.logprobs
            yield self._place(f"{name}.done", part, **told)
            yield self._place("response.content_part.done", part, part=part.write(kind))
        yield {
            "type": "response.output_item.done",
            "output_index": self.output_index,
            "item": whole or finish_item(self._write(), finish_reason),
        }

    def _write(self) -> ResponseItem:
        written = dict(self._begun)
        for kind, part in self._parts.items():
            if kind in ARGUMENTS:
                written[ARGUMENTS[kind]] = part.text
            else:
                written["content"] = [*written["content"], part.write(kind)]
        return written

    def _place(self, type: str, at: _Part | None, **members: Any) -> ResponseEvent:
        place = {} if at is None else {"content_index": at.content_index}
        identity = {"item_id": self._begun["id"], "output_index": self.output_index}
        return {"type": type, **identity, **place, **members}


class _Part:
    """A text that has begun: a part of an item, or the arguments of a call."""

    def __init__(self, content_index: int) -> None:
        self.content_index = content_index
        self.pieces: list[str] = []
        self.logprobs: list[ResponseItem] = []
        self.annotations: list[ResponseItem] = []

    @property
    def text(self) -> str:
        """The text so far."""
        return join_text(self.pieces)

    def write(self, kind: PartKind | ToolKind) -> ResponseItem | None:
        """The part so far; None for arguments, which are no part."""
        match kind:
            case "text":
                return text_part(
                    self.text, logprobs=list(self.logprobs), annotations=list(self.annotations)
                )
            case "refusal":
                return refusal_part(self.text)
            case "reasoning":
                return reasoning_part(self.text)
        return None
