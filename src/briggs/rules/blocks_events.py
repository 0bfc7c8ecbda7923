"""A: a stream of the Messages API: events that build a message block by block.

https://docs.anthropic.com/en/api/messages-streaming
"""

from __future__ import annotations

from collections.abc import Iterator

from briggs.rules.book import Broken, rule
from briggs.rules.typed_events import TypedEvent, check_events, read_events
from briggs.types.any_json import Members, integer, members, text
from briggs.wires.anthropic.fold import fold_events

_START, _CHANGE, _STOP = "message_start", "message_delta", "message_stop"
_BLOCK_START, _PIECE, _BLOCK_STOP = (
    *("content_block_start", "content_block_delta", "content_block_stop"),
)
_ANYWHERE = ("ping", "error")
_PIECES = {
    "text_delta": ("text", ("text",)),
    "input_json_delta": ("partial_json", ("tool_use", "server_tool_use", "mcp_tool_use")),
    "thinking_delta": ("thinking", ("thinking",)),
    "signature_delta": ("signature", ("thinking",)),
}
"""The member that each piece has, and the types of block that it belongs to."""


class CheckedBlocksStream:
    """The bytes that were received for a streamed message."""

    def __init__(self, received: bytes, *, content_type: str | None, whole: bool) -> None:
        self.content_type = content_type
        self.events, self.has_done = read_events(received)
        self.is_whole = whole and not any(event.type == "error" for event in self.events)

    @property
    def said(self) -> list[TypedEvent]:
        """The events that have their place in the order."""
        return [event for event in self.events if event.type not in _ANYWHERE]

    @property
    def message(self) -> Members:
        """The message that the events form. Empty if they form none."""
        try:
            return members(fold_events(event.value for event in self.said))
        except (AttributeError, KeyError, TypeError, ValueError):
            # They break the rules of this chapter, which say where.
            return {}


@rule(
    "A20", "error", "A stream is server-sent events of JSON objects whose type the event names.",
    on="message stream",
    basis='Streaming: "Each server-sent event includes a named event type and associated JSON '
    'data." Clients choose by the name, so events without one are lost. There is no `[DONE]`.',
)  # fmt: skip
def sends_events(stream: CheckedBlocksStream) -> Iterator[Broken]:
    kind = stream.content_type
    yield from check_events(stream.events, content_type=kind, unnamed="error")
    if stream.has_done:
        yield Broken("", "It ends with [DONE], which belongs to chat completions.", severity="info")


@rule(
    "A21", "error", "A stream begins with message_start and ends with message_stop.",
    on="message stream",
    basis="Streaming, event flow: message_start with an empty content; then the blocks; at least "
    "one message_delta with stop_reason and usage; message_stop at the end.",
)  # fmt: skip
def begins_and_ends(stream: CheckedBlocksStream) -> Iterator[Broken]:
    said = stream.said
    types = [event.type for event in said]
    if types and types[0] != _START:
        yield Broken(said[0].path, "It is not message_start.", types[0])
    if types.count(_START) > 1 or types.count(_STOP) > 1:
        yield Broken("", "It begins or ends more than once.")
    for event in said:
        if event.type == _START:
            begun = members(event.value.get("message"))
            if begun.get("content") != []:
                path = f"{event.path}.message.content"
                yield Broken(path, "It is not an empty list.", begun.get("content", ...))
        if event.type == _CHANGE:
            count = integer(members(event.value.get("usage")).get("output_tokens"))
            if count is None:
                yield Broken(f"{event.path}.usage.output_tokens", "It is not a whole number.")
    if not stream.is_whole or not types:
        return
    if types[-1] != _STOP:
        yield Broken(said[-1].path, "The stream has no message_stop at its end.", types[-1])
    if _CHANGE not in types:
        yield Broken("", "There is no message_delta with the reason for the end.")


@rule(
    "A22", "error", "Blocks are numbered from 0, and each is started, filled and stopped in turn.",
    on="message stream",
    basis="Streaming: each block has content_block_start, content_block_delta and "
    "content_block_stop with its index in the final content.",
)  # fmt: skip
def fills_blocks(stream: CheckedBlocksStream) -> Iterator[Broken]:
    begun: dict[int, str] = {}
    open_now: set[int] = set()
    for event in stream.said:
        if event.type not in (_BLOCK_START, _PIECE, _BLOCK_STOP):
            continue
        place = integer(event.value.get("index"))
        if event.type == _BLOCK_START:
            if place != len(begun):
                given = event.value.get("index", ...)
                yield Broken(f"{event.path}.index", f"It is not {len(begun)}.", given)
            kind = text(members(event.value.get("content_block")).get("type"))
            if kind is None:
                yield Broken(f"{event.path}.content_block.type", "It is missing.")
            begun[len(begun) if place is None else place] = kind or ""
            open_now.add(-1 if place is None else place)
        elif place not in open_now:
            given = event.value.get("index", ...)
            yield Broken(f"{event.path}.index", "No block with this index is open.", given)
        elif event.type == _BLOCK_STOP:
            open_now.discard(place)
        elif place is not None:
            yield from _check_piece(event, begun.get(place, ""))
    for place in sorted(open_now) if stream.is_whole else ():
        yield Broken("", f"The block {place} is never stopped.")


def _check_piece(event: TypedEvent, block: str) -> Iterator[Broken]:
    piece = members(event.value.get("delta"))
    kind = text(piece.get("type"))
    if kind is None:
        yield Broken(f"{event.path}.delta.type", "It is missing.", piece.get("type", ...))
    elif kind in _PIECES:
        member, blocks = _PIECES[kind]
        if not isinstance(piece.get(member), str):
            given = piece.get(member, ...)
            yield Broken(f"{event.path}.delta.{member}", "It is not a string.", given)
        if block not in blocks:
            yield Broken(f"{event.path}.delta.type", f"The block is of type '{block}'.", kind)
