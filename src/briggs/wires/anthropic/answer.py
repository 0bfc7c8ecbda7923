"""Reads Anthropic's answers: a message of blocks, or the events of a streamed message.

https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from briggs.types import json
from briggs.wires.base import Prepared
from briggs.wires.blocks import Block
from briggs.wires.chunks import Chunk, ChunkWriter, read_json, write_usage
from briggs.wires.identifiers import find_original_names, fit_to

FORMAT = "anthropic-claude-v1"
"""Marks blocks that only Anthropic's models can read."""

fit_name = fit_to("a-zA-Z0-9_-", length_max=64)
"""Fits the names of functions to what Anthropic accepts."""

TIERS_SERVED = {"standard": "default"}
"""The tiers that an answer may name, in OpenAI's words where these differ."""
# https://platform.claude.com/docs/en/api/errors, 2026-11-23
STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The types of errors, each with its status."""


def _list_events(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Turn a whole answer into the events of a stream, so that one reader handles both."""
    yield {"type": "message_start", "message": message}
    for index, block in enumerate(message["content"]):
        yield {"type": "content_block_start", "index": index, "content_block": block}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": message, "usage": message["usage"]}
    yield {"type": "message_stop"}


class AnthropicReader:
    """Turns the events of one answer into chunks."""

    def __init__(self, prepared: Prepared) -> None:
        self.done = False
        self._is_begun = False
        self._asked_tier = "service_tier" in prepared.envelope.members
        self._chunks = ChunkWriter(model=prepared.model)
        self._names = find_original_names(prepared.envelope, fit_name)
        self._blocks: dict[int, _Block] = {}
        self._length = 0
        """Length of the text so far, in characters."""
        self._usage: dict[str, Any] = {}
        self._ending: dict[str, Any] = {}
        self._rest: dict[str, Any] = {}

    def read_whole(self, message: dict[str, Any]) -> Iterator[Chunk]:
        """The chunks for a whole answer."""
        for event in _list_events(message):
            yield from self.read(event)

    def read(self, event: dict[str, Any]) -> Iterable[Chunk]:
        """The chunks for an event. An unknown event has none."""
        match event["type"]:
            case "content_block_delta":
                return self._continue_block(event["index"], event["delta"])
            case "content_block_start":
                return self._begin_block(event["index"], event["content_block"])
            case "content_block_stop":
                return self._end_block(event["index"])
            case "message_start":
                return self._begin(event["message"])
            case "message_delta":
                self._keep(event["delta"], event.get("usage") or {})
            case "message_stop":
                return self._end()
            case "error":
                self.done = True
                return [_decode_error(event["error"])]
        return ()

    def _begin(self, message: dict[str, Any]) -> list[Chunk]:
        self._is_begun = True
        self._chunks.identify(id=message["id"], model=message["model"])
        self._keep(message, message["usage"])
        begun = [self._chunks.delta(content=None)]
        if {"input_tokens", "output_tokens"} <= self._usage.keys():
            # If the stream is cut short, these counts tell what it cost.
            begun.append(self._chunks.usage_so_far(_decode_usage(self._usage)))
        return begun

    def _keep(self, delta: dict[str, Any], usage: dict[str, Any]) -> None:
        """Keep the latest values. Each count covers the whole answer so far."""
        given = {name: value for name, value in delta.items() if value is not None}
        self._ending |= {name: given.pop(name) for name in _ENDING if name in given}
        self._rest |= {name: value for name, value in given.items() if name not in _MESSAGE}
        self._usage |= {name: value for name, value in usage.items() if value is not None}

    def _begin_block(self, index: int, block: Block) -> Iterator[Chunk]:
        if not self._is_begun:
            raise ValueError("A block came before the message.")
        opened = self._blocks[index] = _Block(block, begins_at=self._length)
        match block["type"]:
            case "tool_use":
                opened.call = self._chunks.count_calls()
                yield self._chunks.tool_call(
                    id=block["id"], name=self._names.get(block["name"], block["name"])
                )
            case "text" | "thinking" as type if block[type]:
                yield from self._continue_block(index, {"type": f"{type}_delta", type: block[type]})

    def _continue_block(self, index: int, delta: dict[str, Any]) -> Iterator[Chunk]:
        block = self._blocks[index]
        match delta["type"]:
            case "text_delta":
                self._length += len(delta["text"])
                yield self._chunks.delta(content=delta["text"])
            case "thinking_delta":
                block.spelled.append(delta["thinking"])
                yield self._chunks.delta(reasoning_content=delta["thinking"])
            case "input_json_delta":
                block.spelled.append(delta["partial_json"])
                if block.call is not None and delta["partial_json"]:
                    yield self._chunks.arguments(delta["partial_json"], call=block.call)
            case "signature_delta":
                block.members["signature"] = delta["signature"]
            case "citations_delta":
                block.members.setdefault("citations", []).append(delta["citation"])

    def _end_block(self, index: int) -> Iterator[Chunk]:
        block = self._blocks.pop(index)
        members, spelled = block.members, "".join(block.spelled)
        place = {"format": FORMAT, "index": index}
        match members["type"]:
            case "text":
                if citations := members.get("citations"):
                    urls = [citation.get("url") for citation in citations]
                    yield self._chunks.citations(
                        citations, urls=urls, begin=block.begins_at, end=self._length
                    )
            case "thinking":
                detail = {"type": "reasoning.text", "text": spelled}
                if signature := members.get("signature"):
                    detail["signature"] = signature
                yield self._chunks.delta(reasoning_details=[{**detail, **place}])
            case "redacted_thinking":
                detail = {"type": "reasoning.encrypted", "data": members["data"]}
                yield self._chunks.delta(reasoning_details=[{**detail, **place}])
            case "tool_use":
                if block.call is not None and not spelled:
                    arguments = json.encode_plain(members.get("input") or {}).decode()
                    yield self._chunks.arguments(arguments, call=block.call)
            case _:
                if spelled:
                    members["input"] = read_json(spelled)
                yield self._chunks.delta(content_blocks=[{**place, "block": members}])

    def _end(self) -> Iterator[Chunk]:
        self.done = True
        reason = self._ending["stop_reason"]
        details = self._ending.get("stop_details") or {}
        if not self._length and reason == "refusal" and details.get("explanation"):
            yield self._chunks.delta(refusal=details["explanation"])
        native = {name: value for name, value in self._ending.items() if name != "stop_reason"}
        if self._asked_tier and "service_tier" in self._usage:
            tier = self._usage["service_tier"]
            self._rest["service_tier"] = TIERS_SERVED.get(tier, tier)
        yield from self._chunks.finish(reason, beside=self._rest, **native)
        yield self._chunks.usage(_decode_usage(self._usage))


# Members that describe the end of a message, and members that have a place in the completion.
_ENDING = ("stop_reason", "stop_sequence", "stop_details")
_MESSAGE = frozenset({"id", "type", "role", "model", "content", "usage"})


class _Block:
    """A block that has begun."""

    def __init__(self, members: Block, *, begins_at: int) -> None:
        self.members = dict(members)
        self.begins_at = begins_at
        self.spelled: list[str] = []
        self.call: int | None = None
        """The index of the tool call, if the block is one."""


def _decode_usage(usage: dict[str, Any]) -> dict[str, Any]:
    """Add up the prompt: Anthropic counts cache reads and writes apart from other tokens."""
    rest = dict(usage)
    read = rest.pop("cache_read_input_tokens", 0)
    written = rest.pop("cache_creation_input_tokens", 0)
    prompt = rest.pop("input_tokens") + read + written
    completion = rest.pop("output_tokens")
    details = rest.pop("output_tokens_details", {})
    usage = write_usage(
        prompt,
        completion,
        prompt_details={"cached_tokens": read, "cache_write_tokens": written},
        completion_details={"reasoning_tokens": details.get("thinking_tokens")},
    )
    return usage | rest


def _decode_error(error: dict[str, Any]) -> dict[str, Any]:
    """An error during the stream, with the status that it would have had before the stream."""
    return {"error": {**error, "code": STATUSES.get(error.get("type", ""), 500)}}
