"""What Bedrock answers: one message of blocks, or the binary events of one.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from briggs.providers import anthropic_answer
from briggs.providers.base import Prepared
from briggs.providers.blocks import Block
from briggs.providers.chunks import Chunk, ChunkWriter, fold_chunks, read_json, write_error
from briggs.types import wire
from briggs.types.errors import UpstreamInvalid

FORMAT = "bedrock-converse-v1"
"""Marks the blocks that only Converse can read."""

_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
# The model began something that Bedrock could not read to its end.
_FAILED = ("malformed_model_output", "malformed_tool_use")
_STATUSES = {
    "throttlingException": 429,
    "modelStreamErrorException": 424,
    "modelTimeoutException": 408,
    "validationException": 400,
    "internalServerException": 500,
    "serviceUnavailableException": 503,
}
# What reading an answer raises that has not the shape of one.
_MALFORMED = (LookupError, TypeError, AttributeError, ValueError)


def find_reasoning_format(model: str) -> str:
    """Who can check the signature of what a model thought."""
    return anthropic_answer.FORMAT if "claude" in model else FORMAT


def decode_answer(body: bytes, *, prepared: Prepared) -> bytes:
    """A whole answer as a chat completion. Raises `UpstreamInvalid`."""
    try:
        events = _list_events(wire.decode(body))
        reader = BedrockReader(prepared)
        return fold_chunks(chunk for event in events for chunk in reader.read(*event))
    except (msgspec.DecodeError, *_MALFORMED) as error:
        raise UpstreamInvalid(
            f"the upstream's answer is no message of Converse's: {error!r}"
        ) from error


def _list_events(answer: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A whole answer as the events of a stream, so that both are read in one place."""
    yield "messageStart", answer["output"]["message"]
    for index, block in enumerate(answer["output"]["message"]["content"]):
        for event in _list_block_events(block):
            yield event[0], {"contentBlockIndex": index, **event[1]}
    yield "messageStop", answer
    yield "metadata", {name: value for name, value in answer.items() if name not in _MESSAGE}


_MESSAGE = frozenset({"output", "stopReason", "additionalModelResponseFields"})


def _list_block_events(block: Block) -> Iterator[tuple[str, dict[str, Any]]]:
    match block:
        case {"toolUse": use} if "type" not in use:
            yield "contentBlockStart", {"start": block}
            arguments = wire.encode_plain(use["input"]).decode()
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
        self._asked_tier = "service_tier" in prepared.envelope.members
        self._reasoning_format = find_reasoning_format(prepared.model)
        self._blocks: dict[int, _Block] = {}
        self._calls = 0
        self._length = 0
        """Of the text so far, in characters."""
        self._reason = ""
        self._rest: dict[str, Any] = {}

    def read(self, type: str, event: dict[str, Any]) -> Iterable[Chunk]:
        """The chunks that say what an event does; of an unknown one there are none."""
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
        return ()

    def _block_of(self, event: dict[str, Any]) -> _Block:
        """The block that an event is about; a text's begins without saying so."""
        index = event["contentBlockIndex"]
        if index not in self._blocks:
            self._blocks[index] = _Block(begins_at=self._length)
        return self._blocks[index]

    def _begin_block(self, block: _Block, start: Block) -> Iterator[Chunk]:
        match start:
            case {"toolUse": use} if "type" not in use:
                block.call = self._calls
                self._calls += 1
                yield self._chunks.tool_call(block.call, id=use["toolUseId"], name=use["name"])
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
                    yield self._chunks.arguments(block.call, arguments)
            case {"reasoningContent": {"text": text}}:
                block.spelled.append(text)
                block.reasoning |= {"type": "reasoning.text"}
                yield self._chunks.delta(reasoning_content=text)
            case {"reasoningContent": {"signature": signature}}:
                signed = block.reasoning.get("signature", "") + signature
                block.reasoning |= {"type": "reasoning.text", "signature": signed}
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
            yield self._chunks.delta(reasoning_details=[detail])
        elif block.call is not None and not block.spelled:
            yield self._chunks.arguments(block.call, "{}")
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
            return [write_error("what the model wrote could not be read", code=event["stopReason"])]
        self._reason = event["stopReason"]
        if fields := event.get("additionalModelResponseFields"):
            self._rest["additionalModelResponseFields"] = fields
        return []

    def _end(self, event: dict[str, Any]) -> Iterator[Chunk]:
        """The end comes with the usage, after the reason for it."""
        self.done = True
        reason = _FINISH_REASONS.get(self._reason, self._reason)
        if not self._length and not self._calls and reason == "stop":
            # Nothing more to say, after the result of a tool: an empty text, not none.
            yield self._chunks.delta(content="")
        rest = {name: value for name, value in event.items() if name not in _NOT_KEPT}
        if self._asked_tier and "serviceTier" in event:
            rest["service_tier"] = event["serviceTier"]["type"]
        finish = self._chunks.finish(reason, native_finish_reason=self._reason)
        yield {**finish, **self._rest, **rest}
        yield self._chunks.usage(_decode_usage(event["usage"]))


# Said elsewhere; and `p` is padding, against those who guess the text from the lengths.
_NOT_KEPT = frozenset({"usage", "serviceTier", "p"})


class _Block:
    """A block that has begun."""

    def __init__(self, *, begins_at: int) -> None:
        self.begins_at = begins_at
        self.spelled: list[str] = []
        self.call: int | None = None
        """The index of the tool call that it is."""
        self.reasoning: dict[str, Any] = {}
        self.citations: list[Any] = []
        self.other: Block = {}
        """A block of a kind that OpenAI has no words for, such as an image."""

    def merge(self, piece: Block) -> None:
        """Go on with a block of another kind."""
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
    """AWS counts apart what was read from the cache and what was written to it."""
    rest = dict(usage)
    read = rest.pop("cacheReadInputTokens", None) or 0
    written = rest.pop("cacheWriteInputTokens", None) or 0
    prompt, completion = rest.pop("inputTokens"), rest.pop("outputTokens")
    if rest.pop("totalTokens", None) != prompt + completion or read + written > prompt:
        prompt += read + written
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
        **rest,
    }


class BedrockStream(BedrockReader):
    """https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html: the frames
    of events, which all of AWS shares."""

    def __init__(self, prepared: Prepared) -> None:
        from botocore.eventstream import EventStreamBuffer

        super().__init__(prepared)
        self._buffer = EventStreamBuffer()

    def feed(self, data: bytes) -> list[bytes]:
        from botocore.eventstream import ParserError

        payloads: list[bytes] = []
        self._buffer.add_data(data)
        try:
            for message in self._buffer:
                payloads += map(wire.encode_plain, self._read_message(message))
                if self.done:
                    break
        except (ParserError, msgspec.DecodeError, *_MALFORMED) as error:
            raise UpstreamInvalid(f"the upstream sent a malformed event: {error!r}") from error
        return payloads

    def _read_message(self, message: Any) -> Iterable[dict[str, Any]]:
        headers = message.headers
        if headers.get(":message-type") == "event":
            return self.read(headers[":event-type"], wire.decode(message.payload))
        self.done = True
        type = headers.get(":exception-type") or headers.get(":error-code") or "error"
        said = wire.decode(message.payload or b"{}")
        words = said.get("message") or headers.get(":error-message") or type
        return [{"error": {"message": words, "type": type, "code": _STATUSES.get(type, 500)}}]
