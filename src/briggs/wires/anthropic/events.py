"""Writes the chunks of a stream as the events of a message.

https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from briggs.types import json
from briggs.types.any_json import Members, list_objects, members, text
from briggs.wires.anthropic.message import (
    begin_message,
    find_thought,
    list_carried,
    list_thoughts,
    write_stop,
    write_usage,
)
from briggs.wires.blocks import Block
from briggs.wires.chunks import read_json

_EMPTY: dict[str, Block] = {
    "text": {"type": "text", "text": ""},
    "thinking": {"type": "thinking", "thinking": "", "signature": ""},
}


def write_event(type: str, **event: Any) -> bytes:
    """One server-sent event."""
    return _FRAME % (type.encode(), json.encode_plain({"type": type, **event}))


def frame_event(type: str, data: bytes) -> bytes:
    """One server-sent event with this JSON, byte for byte. Raises `ValueError` for a type that is
    not one line."""
    if not type.isprintable():
        raise ValueError("The type of an event must be one line.")
    return _FRAME % (type.encode(), b"\ndata: ".join(data.splitlines()))


_FRAME = b"event: %b\ndata: %b\n\n"


class MessageFrames:
    """Writes one stream.

    Anthropic sends one block after the other. Chunks may mix them, so only the first block that
    has not ended is sent. The pieces of those behind it wait.
    """

    def __init__(self) -> None:
        self._blocks: deque[_Block] = deque()
        self._ended = 0
        """The number of blocks that have ended: the index of the first one that has not."""
        self._calls: dict[int, _Block] = {}
        self._ending: Members | None = None
        self._is_begun = False
        self._is_refused = False
        self._usage: Any = None
        self._tier: Any = None

    def write(self, chunks: Sequence[bytes]) -> bytes:
        return b"".join([frame for chunk in chunks for frame in self._write(json.decode(chunk))])

    def end(self) -> bytes:
        frames = [*self._send(is_last=True)]
        assert self._ending is not None, "a stream ends after its choice has finished"
        delta = write_stop(self._ending, is_refused=self._is_refused)
        usage = write_usage(self._usage, tier=self._tier)
        frames.append(write_event("message_delta", delta=delta, usage=usage))
        frames.append(write_event("message_stop"))
        return b"".join(frames)

    def _write(self, chunk: Members) -> Iterator[bytes]:
        if not self._is_begun:
            self._is_begun = True
            yield write_event("message_start", message=begin_message(chunk))
        self._usage = chunk.get("usage") or self._usage
        self._tier = chunk.get("service_tier") or self._tier
        for choice in chunk["choices"]:
            self._read(choice["delta"])
            if choice.get("finish_reason"):
                self._ending = choice
        yield from self._send()

    def _read(self, delta: Members) -> None:
        """Add what a delta has to the blocks."""
        if thought := find_thought(delta):
            self._continue("thinking").add("thinking", thought)
        for _, block in list_thoughts(delta.get("reasoning_details")):
            self._add_thought(block, is_said=bool(thought))
        if said := text(delta.get("content")) or text(delta.get("refusal")):
            self._continue("text").add("text", said)
        self._is_refused |= bool(delta.get("refusal"))
        for call in list_objects(delta.get("tool_calls")):
            self._add_call(call)
        for _, block in list_carried(delta):
            self._begin(block).is_ended = True

    def _add_thought(self, block: Block, *, is_said: bool) -> None:
        """Add a piece of reasoning with its signature. Its text may have come before."""
        if block["type"] != "thinking":
            self._begin(block).is_ended = True
            return
        opened = self._continue("thinking")
        if block["thinking"] and not is_said and not opened.is_told:
            opened.pieces.append(("thinking_delta", {"thinking": block["thinking"]}))
        if block["signature"]:
            opened.add("signature", block["signature"])
            opened.is_ended = True

    def _add_call(self, delta: Members) -> None:
        function = members(delta.get("function"))
        call = self._calls.get(delta["index"])
        if call is None:
            begun = {"type": "tool_use", "id": delta.get("id"), "name": function.get("name")}
            call = self._calls[delta["index"]] = self._begin({**begun, "input": {}})
        if arguments := text(function.get("arguments")):
            call.spelled.append(arguments)
            call.pieces.append(("input_json_delta", {"partial_json": arguments}))

    def _continue(self, type: str) -> _Block:
        """The last block if it is of this type and goes on, or else a new one."""
        last = self._blocks[-1] if self._blocks else None
        if last is not None and last.start["type"] == type and not last.is_ended:
            return last
        return self._begin(_EMPTY[type])

    def _begin(self, start: Block) -> _Block:
        block = _Block(start)
        self._blocks.append(block)
        return block

    def _send(self, *, is_last: bool = False) -> Iterator[bytes]:
        """The events of the first block, and of those behind it once it has ended."""
        while self._blocks:
            block = self._blocks[0]
            yield from block.send(self._ended)
            if not (is_last or block.has_ended(is_followed=len(self._blocks) > 1)):
                return
            yield write_event("content_block_stop", index=self._ended)
            self._blocks.popleft()
            self._ended += 1


class _Block:
    """A block of the answer, and its pieces that were not sent yet."""

    def __init__(self, start: Block) -> None:
        self.start = start
        self.pieces: list[tuple[str, Members]] = []
        self.spelled: list[str] = []
        """The arguments of a call so far."""
        self.is_told = False
        """Whether its text came by itself, and not with its signature."""
        self.is_ended = False
        self._is_begun = False

    def add(self, name: str, value: str) -> None:
        """Add to one of its members."""
        self.is_told |= name != "signature"
        self.pieces.append((f"{name}_delta", {name: value}))

    def has_ended(self, *, is_followed: bool) -> bool:
        """Whether nothing more can come: a call goes on until its arguments are whole."""
        if self.start["type"] != "tool_use":
            return self.is_ended or is_followed
        return is_followed and isinstance(read_json("".join(self.spelled)), dict)

    def send(self, index: int) -> Iterator[bytes]:
        """The events that were not sent yet."""
        if not self._is_begun:
            self._is_begun = True
            yield write_event("content_block_start", index=index, content_block=self.start)
        for type, delta in self.pieces:
            yield write_event("content_block_delta", index=index, delta={"type": type, **delta})
        self.pieces.clear()
