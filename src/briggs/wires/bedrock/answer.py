"""Reads Bedrock's answers: a message of blocks, or the binary events of a streamed message.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from briggs.types import json
from briggs.wires.anthropic import answer as anthropic_answer
from briggs.wires.base import Prepared
from briggs.wires.blocks import Block
from briggs.wires.chunks import Chunk, ChunkWriter, read_json, write_error, write_usage
from briggs.wires.events import Split
from briggs.wires.identifiers import find_original_names, fit_to

FORMAT = "bedrock-converse-v1"
"""Marks blocks that only Converse can read."""

fit_name = fit_to("a-zA-Z0-9_-", length_max=64)
"""Fits the names of functions to what Bedrock accepts."""

# Stop reasons for output of the model that Bedrock could not read.
_FAILED = ("malformed_model_output", "malformed_tool_use")
_STATUSES = {
    "throttlingException": 429,
    "modelStreamErrorException": 424,
    "modelTimeoutException": 408,
    "validationException": 400,
    "internalServerException": 500,
    "serviceUnavailableException": 503,
}

# A frame begins with two lengths and a checksum, and ends with another checksum.
_PRELUDE_BYTES = 12
_FRAME_BYTES_MIN = 16
_FRAME_BYTES_MAX = 24 * 1024 * 1024

BedrockEvent = tuple[str, dict[str, Any]]
"""An event's type and its members."""


def find_reasoning_format(model: str) -> str:
    """The format that marks a model's reasoning: only the same format can check its signature."""
    return anthropic_answer.FORMAT if "claude" in model else FORMAT


def _list_events(answer: dict[str, Any]) -> Iterator[BedrockEvent]:
    """Turn a whole answer into the events of a stream, so that one reader handles both."""
    yield "messageStart", answer["output"]["message"]
    for index, block in enumerate(answer["output"]["message"]["content"]):
        for event in _list_block_events(block):
            yield event[0], {"contentBlockIndex": index, **event[1]}
    yield "messageStop", answer
    yield "metadata", {name: value for name, value in answer.items() if name not in _MESSAGE}


_MESSAGE = frozenset({"output", "stopReason", "additionalModelResponseFields"})


def _list_block_events(block: Block) -> Iterator[BedrockEvent]:
    match block:
        case {"toolUse": use} if "type" not in use:
            yield "contentBlockStart", {"start": block}
            arguments = json.encode_plain(use["input"]).decode()
            yield "contentBlockDelta", {"delta": {"toolUse": {"input": arguments}}}
        case {"reasoningContent": {"reasoningText": thought}}:
            for name, value in thought.items():
                yield "contentBlockDelta", {"delta": {"reasoningContent": {name: value}}}
        case {"citationsContent": cited}:
            for delta in cited.get("content", ()):
                yield "contentBlockDelta", {"delta": delta}
            for citation in cited.get("citations", ()):
                yield "contentBlockDelta", {"delta": {"citation": citation}}
        case _:
            yield "contentBlockDelta", {"delta": block}
    yield "contentBlockStop", {}


class BedrockReader:
    """Turns the events of one answer into chunks."""

    def __init__(self, prepared: Prepared) -> None:
        self.done = False
        self._chunks = ChunkWriter(model=prepared.model)
        self._names = find_original_names(prepared.envelope, fit_name)
        self._asked_tier = "service_tier" in prepared.envelope.members
        self._reasoning_format = find_reasoning_format(prepared.model)
        self._blocks: dict[int, _Block] = {}
        self._length = 0
        """Length of the text so far, in characters."""
        self._reason = ""
        self._rest: dict[str, Any] = {}

    def read_whole(self, answer: dict[str, Any]) -> Iterator[Chunk]:
        """The chunks for a whole answer."""
        for event in _list_events(answer):
            yield from self.read(event)

    def read(self, typed: BedrockEvent) -> Iterable[Chunk]:
        """The chunks for an event. An unknown event has none."""
        type, event = typed
        match type:
            case "contentBlockDelta":
                return self._continue_block(self._block_of(event), event["delta"])
            case "contentBlockStart":
                return self._begin_block(self._block_of(event), event["start"])
            case "contentBlockStop":
                return self._end_block(event["contentBlockIndex"])
            case "messageStart":
                return [self._chunks.delta(content=None)]
            case "messageStop":
                return self._stop(event)
            case "metadata":
                return self._end(event)
            case "error":
                self.done = True
                return [{"error": event}]
        return ()

    def _block_of(self, event: dict[str, Any]) -> _Block:
        """The block that an event belongs to. A block of text begins without an event."""
        index = event["contentBlockIndex"]
        if index not in self._blocks:
            self._blocks[index] = _Block(begins_at=self._length)
        return self._blocks[index]

    def _begin_block(self, block: _Block, start: Block) -> Iterator[Chunk]:
        match start:
            case {"toolUse": use} if "type" not in use:
                block.call = self._chunks.count_calls()
                name = self._names.get(use["name"], use["name"])
                yield self._chunks.tool_call(id=use["toolUseId"], name=name)
            case _:
                block.merge(start)

    def _continue_block(self, block: _Block, delta: Block) -> Iterator[Chunk]:
        match delta:
            case {"text": text}:
                self._length += len(text)
                yield self._chunks.delta(content=text)
            case {"toolUse": {"input": str(arguments)}} if block.call is not None:
                if arguments:
                    block.spelled.append(arguments)
                    yield self._chunks.arguments(arguments, call=block.call)
            case {"reasoningContent": {"text": text}}:
                block.spelled.append(text)
                block.reasoning |= {"type": "reasoning.text"}
                yield self._chunks.delta(reasoning_content=text)
            case {"reasoningContent": {"signature": signature}}:
                block.signatures.append(signature)
                block.reasoning |= {"type": "reasoning.text"}
            case {"reasoningContent": {"redactedContent": data}}:
                block.reasoning |= {"type": "reasoning.encrypted", "data": data}
            case {"citation": citation}:
                block.citations.append(citation)
            case _:
                block.merge(delta)

    def _end_block(self, index: int) -> Iterator[Chunk]:
        block = self._blocks.pop(index, None)
        if block is None:
            return
        if block.reasoning:
            detail = {**block.reasoning, "format": self._reasoning_format, "index": index}
            if detail["type"] == "reasoning.text":
                detail["text"] = "".join(block.spelled)
                if block.signatures:
                    detail["signature"] = "".join(block.signatures)
            yield self._chunks.delta(reasoning_details=[detail])
        elif block.call is not None and not block.spelled:
            yield self._chunks.arguments("{}", call=block.call)
        if block.citations:
            places = [citation.get("location") or {} for citation in block.citations]
            yield self._chunks.citations(
                block.citations,
                urls=[place.get("web", {}).get("url") for place in places],
                begin=block.begins_at,
                end=self._length,
            )
        if block.other:
            if use := block.other.get("toolUse"):
                use["input"] = read_json(use.get("input"))
            kept = {"format": FORMAT, "index": index, "block": block.other}
            yield self._chunks.delta(content_blocks=[kept])

    def _stop(self, event: dict[str, Any]) -> list[Chunk]:
        if event["stopReason"] in _FAILED:
            self.done = True
            return [write_error("the model's output could not be read", code=event["stopReason"])]
        self._reason = event["stopReason"]
        if fields := event.get("additionalModelResponseFields"):
            self._rest["additionalModelResponseFields"] = fields
        return []

    def _end(self, event: dict[str, Any]) -> Iterator[Chunk]:
        """End the answer. The last event carries the usage; the reason came before it."""
        self.done = True
        rest = {name: value for name, value in event.items() if name not in _NOT_KEPT}
        if self._asked_tier and "serviceTier" in event:
            rest["service_tier"] = event["serviceTier"]["type"]
        yield from self._chunks.finish(self._reason, beside=self._rest | rest)
        yield self._chunks.usage(_decode_usage(event["usage"]))


# The first two have other places. `p` is padding that hides the lengths of texts.
_NOT_KEPT = frozenset({"usage", "serviceTier", "p"})


class _Block:
    """A block that has begun."""

    def __init__(self, *, begins_at: int) -> None:
        self.begins_at = begins_at
        self.spelled: list[str] = []
        self.signatures: list[str] = []
        self.call: int | None = None
        """The index of the tool call, if the block is one."""
        self.reasoning: dict[str, Any] = {}
        self.citations: list[Any] = []
        self.other: Block = {}
        """A block of a kind that OpenAI does not have, such as an image."""

    def merge(self, piece: Block) -> None:
        """Continue a block of such a kind."""
        for name, value in piece.items():
            before = self.other.get(name)
            if isinstance(before, dict) and isinstance(value, list):
                before.setdefault("content", []).extend(value)
            elif isinstance(before, dict) and isinstance(before.get("input"), str):
                before["input"] += value.get("input", "")
            elif isinstance(before, dict):
                before |= value
            else:
                self.other[name] = dict(value) if isinstance(value, dict) else value


def _decode_usage(usage: dict[str, Any]) -> dict[str, Any]:
    """Add up the prompt: AWS counts cache reads and writes apart from other tokens."""
    rest = dict(usage)
    read = rest.pop("cacheReadInputTokens", None) or 0
    written = rest.pop("cacheWriteInputTokens", None) or 0
    prompt, completion = rest.pop("inputTokens"), rest.pop("outputTokens")
    if rest.pop("totalTokens", None) != prompt + completion or read + written > prompt:
        prompt += read + written
    cached = {"cached_tokens": read, "cache_write_tokens": written}
    return write_usage(prompt, completion, prompt_details=cached) | rest


def split_frames() -> Split:
    """Read frames in AWS's binary event stream format.

    https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html
    """
    from botocore.eventstream import EventStreamBuffer, ParserError

    held = bytearray()

    def split(data: bytes) -> Iterator[BedrockEvent]:
        # botocore copies its whole buffer at each read and each frame. So we pass it one whole
        # frame at a time.
        held.extend(data)
        begin = 0
        while (length := _read_frame_length(held, begin)) and begin + length <= len(held):
            frames = EventStreamBuffer()
            frames.add_data(bytes(held[begin : begin + length]))
            begin += length
            try:
                for frame in frames:
                    yield _read_frame(frame.headers, frame.payload)
            except ParserError as error:
                raise ValueError(error) from error
        del held[:begin]

    return split


def _read_frame_length(held: bytearray, begin: int) -> int:
    """Length of the next frame in bytes; 0 until its start is there. Raises `ValueError`."""
    if len(held) - begin < _PRELUDE_BYTES:
        return 0
    length = int.from_bytes(held[begin : begin + 4])
    if not _FRAME_BYTES_MIN <= length <= _FRAME_BYTES_MAX:
        raise ValueError(f"a frame of {length} bytes")
    return length


def _read_frame(headers: dict[str, Any], payload: bytes) -> BedrockEvent:
    members = json.decode(payload or b"{}")
    if headers.get(":message-type") == "event":
        return headers[":event-type"], members
    type = headers.get(":exception-type") or headers.get(":error-code") or "error"
    words = members.get("message") or headers.get(":error-message") or type
    return "error", {"message": words, "type": type, "code": _STATUSES.get(type, 500)}
