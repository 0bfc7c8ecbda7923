"""P: a stream of the Responses API: events in their order, which together form the response.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from briggs.rules.book import Broken, rule
from briggs.rules.typed_events import check_events, read_events
from briggs.types.any_json import Members, integer, members, objects, text

_LAST = ("response.completed", "response.failed", "response.incomplete")
_FIRST = ("response.created", "response.queued")
_PIECES = {
    "response.output_text.delta": ("response.output_text.done", "text", "content_index"),
    "response.refusal.delta": ("response.refusal.done", "refusal", "content_index"),
    "response.function_call_arguments.delta": (
        *("response.function_call_arguments.done", "arguments", ""),
    ),
    "response.custom_tool_call_input.delta": (
        *("response.custom_tool_call_input.done", "input", ""),
    ),
    "response.reasoning_summary_text.delta": (
        *("response.reasoning_summary_text.done", "text", "summary_index"),
    ),
    "response.reasoning_text.delta": ("response.reasoning_text.done", "text", "content_index"),
}
"""Events with a piece of a text: the event with the whole text, its member, and an index."""
_WHOLES = {whole: (member, index) for whole, member, index in _PIECES.values()}


class CheckedModelStream:
    """The bytes that were received for a streamed response."""

    def __init__(self, received: bytes, *, content_type: str | None, whole: bool) -> None:
        self.content_type = content_type
        self.events, self.has_done = read_events(received)
        self.is_whole = whole and not any(event.type == "error" for event in self.events)

    @property
    def response(self) -> Members:
        """The response that the last event holds; empty if there is none."""
        ends = [event for event in self.events if event.type in _LAST]
        return members(ends[-1].value.get("response")) if ends else {}

    @cached_property
    def items(self) -> dict[str, dict[int, tuple[str, Members]]]:
        """The items that were added and done, by the kind of event and their place."""
        found: dict[str, dict[int, tuple[str, Members]]] = {"added": {}, "done": {}}
        for event in self.events:
            kind = event.type.removeprefix("response.output_item.")
            place = integer(event.value.get("output_index"))
            if kind in found and place is not None:
                found[kind][place] = (f"{event.path}.item", members(event.value.get("item")))
        return found


@rule(
    "P20", "error", "A stream is server-sent events of JSON objects whose type the event names.",
    on="model stream",
    basis="ResponseStreamEvent: each event has a `type`, and the line `event:` repeats it. The "
    "content type is text/event-stream. There is no `[DONE]`.",
)  # fmt: skip
def sends_events(stream: CheckedModelStream) -> Iterator[Broken]:
    yield from check_events(stream.events, content_type=stream.content_type)
    if stream.has_done:
        yield Broken("", "It ends with [DONE], which belongs to chat completions.", severity="info")


@rule(
    "P21", "error", "The events are numbered from 0, each by one more.",
    on="model stream",
    basis="ResponseStreamEvent, sequence_number: the place of the event in the stream.",
)  # fmt: skip
def counts_events(stream: CheckedModelStream) -> Iterator[Broken]:
    for expected, event in enumerate(stream.events):
        given = event.value.get("sequence_number", ...)
        if given != expected or isinstance(given, bool):
            yield Broken(f"{event.path}.sequence_number", f"It is not {expected}.", given)
            return


@rule(
    "P22", "error", "A stream begins with response.created and ends with the whole response.",
    on="model stream",
    basis="response.created comes first, then response.in_progress. The last event is "
    "response.completed, response.incomplete or response.failed, or the event `error`.",
)  # fmt: skip
def begins_and_ends(stream: CheckedModelStream) -> Iterator[Broken]:
    types = [event.type for event in stream.events]
    if types and types[0] not in _FIRST and types[0] != "error":
        yield Broken("events[0].type", "It is not response.created.", types[0])
    if stream.is_whole and types and types[-1] not in _LAST:
        yield Broken(f"events[{len(types) - 1}].type", "The stream has no end.", types[-1])
    for place, kind in enumerate(types[:-1]):
        if kind in _LAST:
            yield Broken(f"events[{place + 1}]", f"It comes after {kind}.", types[place + 1])
            break
    ids = {text(members(event.value.get("response")).get("id")) for event in stream.events} - {None}
    if len(ids) > 1:
        yield Broken("", "Its events have several ids of the response.", sorted(map(str, ids))[0])


@rule(
    "P23", "error", "Each item is added, then done, in its place, and stands in the response.",
    on="model stream",
    basis="response.output_item.added and .done carry output_index and the item. The response of "
    "the last event has the same items.",
)  # fmt: skip
def finishes_items(stream: CheckedModelStream) -> Iterator[Broken]:
    added, done = stream.items["added"], stream.items["done"]
    for place, (path, item) in done.items():
        if place not in added:
            yield Broken(path, "It was never added.", item.get("id", ...))
        elif added[place][1].get("id") != item.get("id"):
            yield Broken(f"{path}.id", "It was added with another id.", item.get("id", ...))
    if sorted(added) != list(range(len(added))):
        yield Broken("", "The places of the items are not 0, 1, 2 and so on.", sorted(added))
    if not stream.is_whole:
        return
    for place, (path, item) in added.items():
        if place not in done:
            yield Broken(path, "It is never done.", item.get("id", ...))
    output = dict(enumerate(item for _, item in objects(stream.response.get("output"), "")))
    for place, item in output.items():
        if place in done and done[place][1] != item:
            message = "The item was done with other contents."
            yield Broken(f"response.output[{place}]", message, item)
    if stream.response and len(output) != len(done):
        message = f"{len(done)} items were done, and the response has {len(output)}."
        yield Broken("response.output", message)


@rule(
    "P24", "error", "The pieces of a text together are the whole text.",
    on="model stream",
    basis="response.output_text.delta and its like carry what is added; response.output_text.done "
    "and its like carry the whole. Clients show the pieces and keep the whole.",
)  # fmt: skip
def adds_up_to_the_text(stream: CheckedModelStream) -> Iterator[Broken]:
    heard: dict[tuple[Any, ...], list[str]] = {}
    added = {text(item.get("id")) for _, item in stream.items["added"].values()}
    for event in stream.events:
        value = event.value
        if event.type in _PIECES:
            done, _, index = _PIECES[event.type]
            if not isinstance(value.get("delta"), str):
                yield Broken(f"{event.path}.delta", "It is not a string.", value.get("delta", ...))
                continue
            if text(value.get("item_id")) not in added:
                given = value.get("item_id", ...)
                yield Broken(f"{event.path}.item_id", "No such item was added.", given)
            heard.setdefault((done, *_place(value, index)), []).append(value["delta"])
        elif event.type in _WHOLES:
            member, index = _WHOLES[event.type]
            said = "".join(heard.pop((event.type, *_place(value, index)), []))
            if value.get(member) != said:
                message = "The pieces before it are another text."
                yield Broken(f"{event.path}.{member}", message, value.get(member, ...))
    for (done, *_), pieces in heard.items() if stream.is_whole else ():
        yield Broken("", f"Pieces came, but no {done}.", "".join(pieces))


def _place(value: Members, index: str) -> tuple[str, ...]:
    return str(value.get("item_id")), str(value.get("output_index")), str(value.get(index))
