"""Reads the answers of vendors who speak the Responses API, for the record.

Only calls that came in this format go by this wire. Their bytes pass in both directions.

https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from briggs.types import json
from briggs.types.any_json import integer, list_objects, members, text
from briggs.types.envelope import Envelope
from briggs.types.errors import UpstreamInvalid, UpstreamRejected
from briggs.types.fold import Fold
from briggs.types.sse import EventReader
from briggs.wires.base import Encoded, Prepared
from briggs.wires.chunks import MALFORMED, Chunk, ChunkWriter, write_usage
from briggs.wires.events import EventStream, Split
from briggs.wires.openai.responses.request import FORMAT

_REASONS = {"content_filter": "content_filter", "max_messages": "stop", "steered": "stop"}
_ENDED = ("completed", "incomplete")
_RATE_LIMIT_STATUS = 429
_FAILED = "response.failed"
_ENDINGS = (_FAILED, "response.completed", "response.incomplete")


class ResponsesAbility:
    """`POST {base_url}/responses`."""

    format = FORMAT
    stream_types = ("text/event-stream",)
    passes = True

    def __init__(self, provider: str) -> None:
        self._provider = provider

    def takes(self, model: str) -> bool:
        return True

    def url(self, base_url: str, *, model: str, stream: bool) -> str:
        return f"{base_url}/responses"

    def encode(self, envelope: Envelope, *, model: str) -> Encoded:
        original = envelope.original
        assert original is not None, "only calls in this format get here"
        if original.home is not None and original.home[0] == self._provider:
            original = original._replace(body=original.home[1])
        return Encoded(original.encode(model=model))

    def decode(self, body: bytes, *, prepared: Prepared) -> bytes:
        try:
            return json.encode_plain(_read_response(json.decode(body)))
        except MALFORMED as error:
            raise UpstreamInvalid("the upstream's answer is not a response") from error

    def open_stream(self, prepared: Prepared) -> EventStream:
        return EventStream(_Reader(model=prepared.model), split=_split_events(), vendor="OpenAI")


def read_recorded(response: dict[str, Any]) -> dict[str, Any]:
    """A response that was recorded elsewhere, as a chat completion. May raise any of `MALFORMED`.

    Programs may have recorded less than the whole response.
    """
    whole = {"status": "completed", "id": None, "created_at": 0, "model": None, **response}
    usage = whole.pop("usage", None)
    return {**_read_response(whole), "usage": usage}


def fold_response(events: Iterable[dict[str, Any]]) -> tuple[bytes | None, bool]:
    """The response of a stream that was recorded elsewhere, and whether it is whole.

    If it is not, it is the chat completion for what had come.
    """
    reader, folded = _Reader(model="unknown"), Fold()
    is_begun = False
    for event in events:
        turn, response = str(event.get("type")), members(event.get("response"))
        if turn in _ENDINGS and response:
            return json.encode_plain(response), turn != _FAILED
        try:
            for chunk in reader.read(event):
                folded.add(chunk)
                is_begun = True
        except MALFORMED:
            continue
    return (json.encode_plain(folded.response()) if is_begun else None), False


def _split_events() -> Split:
    events = EventReader()

    def split(data: bytes) -> Iterator[Any]:
        for event in events.feed(data):
            if event.data.startswith(b"{"):
                yield json.decode(event.data)

    return split


def _read_response(response: dict[str, Any]) -> dict[str, Any]:
    """A whole response as a chat completion. Tools that the vendor ran stay in the bytes."""
    if response["status"] not in _ENDED:
        error = members(response.get("error"))
        raise UpstreamRejected(
            text(error.get("message")) or f"the response is {response['status']}",
            upstream_status=_find_status(error),
            code=text(error.get("code")),
        )
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    calls: list[dict[str, Any]] = []
    logprobs: list[Any] = []
    for item in response["output"]:
        match item["type"]:
            case "message":
                for part in item["content"]:
                    _read_part(part, message, logprobs)
            case "reasoning":
                for part in (*(item.get("summary") or ()), *(item.get("content") or ())):
                    _append(message, "reasoning_content", part["text"])
            case "function_call" | "custom_tool_call":
                calls.append(_read_call(item))
    if calls:
        message["tool_calls"] = calls
    elif message["refusal"] is None:
        message["content"] = message["content"] or ""
    answer = {
        "id": response["id"],
        "object": "chat.completion",
        "created": int(response["created_at"]),
        "model": response["model"],
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": {"content": logprobs, "refusal": None} if logprobs else None,
                "finish_reason": _find_reason(response, is_called=bool(calls)),
                "native_finish_reason": _find_native(response),
            }
        ],
    }
    if usage := response.get("usage"):
        answer["usage"] = _read_usage(usage)
    if tier := response.get("service_tier"):
        answer["service_tier"] = tier
    return answer


def _read_part(part: dict[str, Any], message: dict[str, Any], logprobs: list[Any]) -> None:
    if part["type"] == "refusal":
        _append(message, "refusal", part["refusal"])
        return
    begin = len(message["content"] or "")
    _append(message, "content", part["text"])
    logprobs += map(_read_token, part.get("logprobs") or ())
    if cited := _read_citations(part.get("annotations"), begin=begin):
        message.setdefault("annotations", []).extend(cited)


def _append(message: dict[str, Any], name: str, said: str) -> None:
    message[name] = (message.get(name) or "") + said


def _read_call(item: dict[str, Any], **replaced: Any) -> dict[str, Any]:
    if item["type"] == "custom_tool_call":
        custom = {"name": item["name"], "input": item["input"], **replaced}
        return {"id": item["call_id"], "type": "custom", "custom": custom}
    function = {"name": item["name"], "arguments": item["arguments"], **replaced}
    return {"id": item["call_id"], "type": "function", "function": function}


def _read_token(token: dict[str, Any]) -> dict[str, Any]:
    spelled = token.get("bytes")
    if spelled is None:
        spelled = list(token["token"].encode("utf-8", "surrogatepass"))
    tops = [_read_token(top) for top in token.get("top_logprobs") or () if top.get("token")]
    read = {"token": token["token"], "logprob": token["logprob"], "bytes": spelled}
    return {**read, "top_logprobs": tops}


def _read_citations(annotations: Any, *, begin: int = 0) -> list[dict[str, Any]]:
    """The citations of web pages, in the text from `begin` on."""
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "start_index": begin + citation["start_index"],
                "end_index": begin + citation["end_index"],
                "url": citation["url"],
                "title": citation["title"],
            },
        }
        for citation in list_objects(annotations)
        if citation.get("type") == "url_citation"
    ]


def _find_reason(response: dict[str, Any], *, is_called: bool) -> str:
    if response["status"] == "incomplete":
        return _REASONS.get(_find_native(response), "length")
    return "tool_calls" if is_called else "stop"


def _find_native(response: dict[str, Any]) -> str:
    """How the vendor says why it stopped."""
    reason = members(response.get("incomplete_details")).get("reason")
    return text(reason) or str(response["status"])


def _read_usage(usage: dict[str, Any]) -> dict[str, Any]:
    read, written = "cached_tokens", "cache_write_tokens"
    given = members(usage.get("input_tokens_details"))
    reasoned = members(usage.get("output_tokens_details")).get("reasoning_tokens")
    return write_usage(
        usage["input_tokens"],
        usage["output_tokens"],
        prompt_details={read: integer(given.get(read)), written: integer(given.get(written))},
        completion_details={"reasoning_tokens": integer(reasoned)},
    )


def _find_status(error: dict[str, Any]) -> int:
    return _RATE_LIMIT_STATUS if error.get("code") == "rate_limit_exceeded" else 500


def _find_part(event: dict[str, Any]) -> tuple[Any, ...]:
    return event["output_index"], event.get("content_index")


class _Reader:
    """Turns the events of one response into chunks."""

    def __init__(self, *, model: str) -> None:
        self.done = False
        self._chunks = ChunkWriter(model=model)
        self._calls: dict[int, int] = {}
        """The number of each tool call, by the output index of its item."""
        self._told: set[tuple[Any, ...]] = set()
        """The texts that have had deltas, by their places."""
        self._length = 0
        """Length of the text so far, in characters."""
        self._begins: dict[tuple[Any, ...], int] = {}
        """Where in the text each part begins."""

    def read(self, event: dict[str, Any]) -> Iterable[Chunk]:
        """The chunks for an event. An unknown event has none."""
        type, _, ending = event["type"].rpartition(".")
        match type:
            case "response.output_text":
                return self._add_text(event, ending)
            case "response.output_text.annotation":
                return self._cite(event)
            case "response.function_call_arguments":
                return self._add_arguments(event, ending, "function", "arguments")
            case "response.custom_tool_call_input":
                return self._add_arguments(event, ending, "custom", "input")
            case "response.refusal":
                return self._add(event, ending, "refusal", member="refusal")
            case "response.reasoning_text" | "response.reasoning_summary_text":
                return self._add(event, ending, "reasoning_content", member="text")
            case "response.output_item":
                return self._add_item(event, ending)
            case "response":
                return self._turn(event["response"], ending)
        if event["type"] == "error":
            return self._fail(members(event.get("error")) or event)
        return ()

    def _turn(self, response: dict[str, Any], ending: str) -> Iterable[Chunk]:
        """The beginning or the end of the whole response."""
        match ending:
            case "created":
                self._chunks.identify(id=response["id"], model=response["model"])
                # From here on the caller gets what comes, even if it is no text for long.
                return [self._chunks.delta(content=None)]
            case "completed" | "incomplete":
                return self._end(response)
            case "failed":
                return self._fail(members(response.get("error")))
        return ()

    def _add_text(self, event: dict[str, Any], ending: str) -> Iterator[Chunk]:
        said = self._find_new(event, ending, "text")
        self._begins.setdefault(_find_part(event), self._length)
        if said:
            tokens = [_read_token(token) for token in event.get("logprobs") or ()]
            logprobs = {"content": tokens, "refusal": None} if tokens else None
            self._length += len(said)
            yield self._chunks.delta(content=said, logprobs=logprobs)

    def _add(
        self, event: dict[str, Any], ending: str, name: str, *, member: str
    ) -> Iterator[Chunk]:
        if said := self._find_new(event, ending, member):
            added: dict[str, Any] = {name: said}
            yield self._chunks.delta(**added)

    def _add_arguments(
        self, event: dict[str, Any], ending: str, kind: str, member: str
    ) -> Iterator[Chunk]:
        if event["output_index"] not in self._calls:
            # Its item comes later, as a whole.
            return
        if said := self._find_new(event, ending, member):
            call = {"index": self._calls[event["output_index"]], kind: {member: said}}
            yield self._chunks.delta(tool_calls=[call])

    def _find_new(self, event: dict[str, Any], ending: str, member: str) -> str:
        """The text of a delta, or the whole text if it had no deltas."""
        place = tuple(
            event.get(name) for name in ("output_index", "content_index", "summary_index")
        )
        place = (event["type"].rpartition(".")[0], *place)
        if ending == "delta":
            self._told.add(place)
            return str(event["delta"])
        return "" if ending != "done" or place in self._told else str(event.get(member) or "")

    def _add_item(self, event: dict[str, Any], ending: str) -> Iterator[Chunk]:
        item, index = event["item"], event["output_index"]
        if item["type"] not in ("function_call", "custom_tool_call") or index in self._calls:
            return
        number = self._calls[index] = len(self._calls)
        is_whole = ending == "done"
        replaced = {} if is_whole else {("arguments" if "arguments" in item else "input"): ""}
        yield self._chunks.delta(tool_calls=[{"index": number, **_read_call(item, **replaced)}])

    def _cite(self, event: dict[str, Any]) -> Iterator[Chunk]:
        begin = self._begins.get(_find_part(event), 0)
        if cited := _read_citations([event.get("annotation")], begin=begin):
            yield self._chunks.delta(annotations=cited)

    def _end(self, response: dict[str, Any]) -> Iterator[Chunk]:
        self.done = True
        self._chunks.identify(id=response["id"], model=response["model"])
        tier = response.get("service_tier")
        yield from self._chunks.finish(
            _find_reason(response, is_called=bool(self._calls)),
            beside={"service_tier": tier} if tier else {},
            native_finish_reason=_find_native(response),
        )
        if usage := response.get("usage"):
            yield self._chunks.usage(_read_usage(usage))

    def _fail(self, error: dict[str, Any]) -> Iterable[Chunk]:
        self.done = True
        return [{"error": {**error, "code": _find_status(error)}}]
