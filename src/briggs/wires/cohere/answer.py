"""Reads Cohere's answers as chunks. A whole answer is read like the events of a stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from briggs.wires.base import Prepared
from briggs.wires.chunks import Chunk, ChunkWriter, write_error, write_usage
from briggs.wires.identifiers import find_original_names, fit_to
from briggs.wires.words.reasons import find_finish_reason

fit_name = fit_to("a-zA-Z0-9_-", length_max=64)
"""Fits the names of functions to what Cohere accepts."""


class CohereReader:
    """Turns the events of one answer into chunks."""

    def __init__(self, prepared: Prepared) -> None:
        self.done = False
        self._chunks = ChunkWriter(model=prepared.model)
        self._names = find_original_names(prepared.envelope, fit_name)

    def read_whole(self, answer: dict[str, Any]) -> Iterator[Chunk]:
        """The chunks for a whole answer."""
        for event in _list_events(answer):
            yield from self.read(event)

    def read(self, event: dict[str, Any]) -> Iterator[Chunk]:
        """The chunks for an event. An unknown event has none."""
        delta = event.get("delta") or {}
        message = delta.get("message") or {}
        match event.get("type"):
            case "message-start":
                self._chunks.identify(id=event.get("id"))
            case "content-start" | "content-delta":
                given = event.get("logprobs")
                items = given if isinstance(given, list) else [given] if given else []
                yield from self._add_content(message["content"], items)
            case "tool-plan-delta":
                yield self._chunks.delta(tool_plan=message["tool_plan"])
            case "tool-call-start":
                yield from self._begin_call(message["tool_calls"])
            case "tool-call-delta":
                yield self._chunks.arguments(message["tool_calls"]["function"]["arguments"])
            case "citation-start":
                yield self._chunks.delta(citations=[message["citations"]])
            case "message-end":
                self.done = True
                yield from self._finish(delta)
            case None:
                yield write_error(event["message"], code=500)

    def _add_content(self, content: dict[str, Any], items: list[dict[str, Any]]) -> Iterator[Chunk]:
        if thinking := content.get("thinking"):
            yield self._chunks.delta(reasoning_content=thinking)
        if text := content.get("text"):
            yield self._chunks.delta(content=text, logprobs=_read_logprobs(items))

    def _begin_call(self, call: dict[str, Any]) -> Iterator[Chunk]:
        function = call["function"]
        name = self._names.get(function["name"], function["name"])
        yield self._chunks.tool_call(id=call["id"], name=name)
        if arguments := function.get("arguments"):
            yield self._chunks.arguments(arguments)

    def _finish(self, ending: dict[str, Any]) -> Iterator[Chunk]:
        native = ending["finish_reason"]
        if find_finish_reason(native) is None:
            words = ending.get("error")
            message = f"Cohere ended its answer with {native}"
            yield write_error(f"{message}: {words}" if words else message, code=native)
            return
        yield from self._chunks.finish(native)
        if usage := read_usage(ending.get("usage") or {}):
            yield self._chunks.usage(usage)


def _list_events(answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Turn a whole answer into the events of a stream, so that one reader handles both."""
    message = answer["message"]
    yield {"type": "message-start", "id": answer.get("id")}
    if plan := message.get("tool_plan"):
        yield _wrap("tool-plan-delta", tool_plan=plan)
    logprobs = answer.get("logprobs")
    for content in message.get("content") or ():
        yield {**_wrap("content-delta", content=content), "logprobs": logprobs}
        logprobs = logprobs if content.get("type") == "thinking" else None
    for call in message.get("tool_calls") or ():
        yield _wrap("tool-call-start", tool_calls=call)
    for citation in message.get("citations") or ():
        yield _wrap("citation-start", citations=citation)
    yield {"type": "message-end", "delta": answer}


def _wrap(type: str, **message: Any) -> dict[str, Any]:
    return {"type": type, "delta": {"message": message}}


def _read_logprobs(items: list[dict[str, Any]]) -> dict[str, Any] | None:
    tokens = [_read_token(item) for item in items if item.get("logprobs")]
    return {"content": tokens, "refusal": None} if tokens else None


def _read_token(item: dict[str, Any]) -> dict[str, Any]:
    """A piece of the text as one token.

    A piece can contain several tokens, and Cohere gives only their joint text. So the piece
    counts as one token with the joint probability. The tokens' own numbers are kept too.
    """
    text, logprobs = item.get("text") or "", item["logprobs"]
    token = {
        "token": text,
        "logprob": sum(logprobs),
        "bytes": list(text.encode("utf-8", "surrogatepass")),
    }
    own = {"token_ids": item["token_ids"], "token_logprobs": logprobs}
    return {**token, "top_logprobs": [], **(own if len(logprobs) > 1 else {})}


def read_usage(usage: dict[str, Any]) -> dict[str, Any] | None:
    """Convert Cohere's counts, which are floats. Its billed units are kept as they came."""
    tokens = usage.get("tokens") or {}
    read, written = tokens.get("input_tokens"), tokens.get("output_tokens")
    if read is None or written is None:
        return None
    cached = usage.get("cached_tokens")
    details = {"cached_tokens": None if cached is None else int(cached)}
    counted = write_usage(int(read), int(written), prompt_details=details)
    if "billed_units" in usage:
        counted["billed_units"] = usage["billed_units"]
    return counted
