"""The chunks that are made of an answer in another vendor's words, whole or streamed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from briggs.types import wire
from briggs.types.conform import USAGE_SO_FAR, find_finish_reason
from briggs.types.errors import UpstreamInvalid, UpstreamRejected
from briggs.types.fold import Fold

Chunk = dict[str, Any]

MALFORMED = (
    *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
    msgspec.DecodeError,
)
"""What reading an answer raises that has not the shape of one."""


class ChunkWriter:
    """Makes the chunks of one answer, which share their identity.

    `choice` is the index of a choice; the first chunk of each gives it its role.
    """

    def __init__(self, *, model: str, id: str | None = None) -> None:
        self._identity: Chunk = {
            "id": id,
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
        }
        self._begun: set[int] = set()
        self._texts: set[int] = set()
        """The choices that have a text."""
        self._calls: Counter[int] = Counter()
        """How many tools each choice calls."""

    def identify(self, *, id: str | None, model: str | None = None) -> None:
        """Take the names that the vendor gives; those of its first event count."""
        if self._identity["id"] is None:
            self._identity |= {"id": id, "model": model or self._identity["model"]}

    def count_calls(self, choice: int = 0) -> int:
        """How many tools a choice calls so far."""
        return self._calls[choice]

    def delta(
        self, *, choice: int = 0, logprobs: dict[str, Any] | None = None, **delta: Any
    ) -> Chunk:
        """More of a message."""
        if delta.get("content"):
            self._texts.add(choice)
        return self._write(choice, delta, logprobs=logprobs)

    def tool_call(self, *, id: str, name: str, choice: int = 0, **call: Any) -> Chunk:
        """The beginning of the next call, before its arguments."""
        function = {"name": name, "arguments": ""}
        begun = {"index": self._calls[choice], "id": id, "type": "function", "function": function}
        self._calls[choice] += 1
        return self._write(choice, {"tool_calls": [{**begun, **call}]})

    def arguments(self, text: str, *, choice: int = 0, call: int | None = None) -> Chunk:
        """More of the arguments of a call, by its number, or else of the last one."""
        index = self._calls[choice] - 1 if call is None else call
        more = {"index": index, "function": {"arguments": text}}
        return self._write(choice, {"tool_calls": [more]})

    def citations(
        self, citations: list[dict[str, Any]], *, urls: list[str | None], begin: int, end: int
    ) -> Chunk:
        """A chunk with what the text from `begin` to `end` relies on, as the vendor says it.

        Those that have a URL are annotations too.
        """
        span = {"start_index": begin, "end_index": end}
        annotations = [
            {
                "type": "url_citation",
                "url_citation": {**span, "url": url, "title": citation.get("title") or ""},
            }
            for citation, url in zip(citations, urls, strict=True)
            if url
        ]
        delta: Chunk = {"citations": [{**citation, **span} for citation in citations]}
        if annotations:
            delta["annotations"] = annotations
        return self._write(0, delta)

    def finish(
        self, native: str, *, choice: int = 0, beside: Mapping[str, Any] = {}, **members: Any
    ) -> Iterator[Chunk]:
        """The end of a choice for the vendor's reason, with what else is said of it.

        What is `beside` it is said of the whole answer.
        """
        reason = find_finish_reason(native) or native
        if reason == "stop" and self.count_calls(choice):
            reason = "tool_calls"
        if reason == "stop" and choice not in self._texts:
            # Nothing more to say, after the result of a tool: an empty text, not none.
            yield self.delta(choice=choice, content="")
        elif choice not in self._begun:
            yield self.delta(choice=choice)
        members = {"finish_reason": reason, "native_finish_reason": native, **members}
        yield {**self._write(choice, {}, **members), **beside}

    def usage(self, usage: dict[str, Any]) -> Chunk:
        """The counts, after all choices have ended."""
        return {**self._identity, "choices": [], "usage": usage}

    def usage_so_far(self, usage: dict[str, Any]) -> Chunk:
        """The counts while the answer goes on, for the record of one that is cut short."""
        return {USAGE_SO_FAR: usage}

    def _write(self, index: int, delta: dict[str, Any], **members: Any) -> Chunk:
        if index not in self._begun:
            self._begun.add(index)
            delta = {"role": "assistant", **delta}
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
        return {**self._identity, "choices": [{**choice, **members}]}


def write_error(message: str, *, code: str | int) -> Chunk:
    """What stands in a stream in place of a chunk where the vendor gave up."""
    return {"error": {"message": message, "type": "upstream_error", "code": code}}


def write_usage(
    prompt: int,
    completion: int,
    *,
    prompt_details: Mapping[str, int | None] = {},
    completion_details: Mapping[str, int | None] = {},
) -> dict[str, Any]:
    """Counts in OpenAI's words; of the details those that there are."""
    usage: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": completion}
    usage["total_tokens"] = prompt + completion
    for name, details in (
        ("prompt_tokens_details", prompt_details),
        ("completion_tokens_details", completion_details),
    ):
        if given := {part: count for part, count in details.items() if count is not None}:
            usage[name] = given
    return usage


def read_json(text: Any) -> Any:
    """What a text says; one that was cut short, and what is none, stays as it is."""
    try:
        return wire.decode(text) if isinstance(text, str) else text
    except msgspec.DecodeError:
        return text


def decode_answer(
    body: bytes, read: Callable[[dict[str, Any]], Iterable[Chunk]], *, vendor: str
) -> bytes:
    """A whole answer as a chat completion, by the chunks that `read` makes of it.

    Raises `UpstreamInvalid`, and `UpstreamRejected` where there is an error among the chunks.
    """
    try:
        return _fold(read(wire.decode(body)))
    except MALFORMED as error:
        raise UpstreamInvalid(f"the upstream's answer is not one of {vendor}'s") from error


def _fold(chunks: Iterable[Chunk]) -> bytes:
    folded = Fold()
    for chunk in chunks:
        if error := chunk.get("error"):
            code = error.get("code")
            status = code if isinstance(code, int) and 400 <= code < 600 else 500
            raise UpstreamRejected(error["message"], upstream_status=status, code=code)
        if USAGE_SO_FAR not in chunk:
            folded.add(chunk)
    return wire.encode_plain(folded.response())
