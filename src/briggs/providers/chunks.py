"""The chunks that are made of an answer in another vendor's words, whole or streamed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import msgspec

from briggs.types import wire
from briggs.types.errors import UpstreamRejected
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

    def identify(self, *, id: str | None, model: str | None = None) -> None:
        """Take the names that the vendor gives; those of its first event count."""
        if self._identity["id"] is None:
            self._identity |= {"id": id, "model": model or self._identity["model"]}

    def has_begun(self, choice: int = 0) -> bool:
        """Whether there is a chunk of this choice."""
        return choice in self._begun

    def delta(
        self, *, choice: int = 0, logprobs: dict[str, Any] | None = None, **delta: Any
    ) -> Chunk:
        """More of a message."""
        return self._write(choice, delta, logprobs=logprobs)

    def tool_call(self, index: int, *, id: str, name: str, choice: int = 0, **call: Any) -> Chunk:
        """The beginning of a call, before its arguments."""
        function = {"name": name, "arguments": ""}
        begun = {"index": index, "id": id, "type": "function", "function": function, **call}
        return self._write(choice, {"tool_calls": [begun]})

    def arguments(self, index: int, text: str, *, choice: int = 0) -> Chunk:
        """More of a call's arguments."""
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

    def finish(self, reason: str | None, *, choice: int = 0, **members: Any) -> Chunk:
        """The end of a choice, with what else is said of it."""
        return self._write(choice, {}, finish_reason=reason, **members)

    def usage(self, usage: dict[str, Any], **members: Any) -> Chunk:
        """The counts, after all choices have ended."""
        return {**self._identity, "choices": [], "usage": usage, **members}

    def _write(self, index: int, delta: dict[str, Any], **members: Any) -> Chunk:
        if index not in self._begun:
            self._begun.add(index)
            delta = {"role": "assistant", **delta}
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
        return {**self._identity, "choices": [{**choice, **members}]}


def write_error(message: str, *, code: str | int) -> Chunk:
    """What stands in a stream in place of a chunk where the vendor gave up."""
    return {"error": {"message": message, "type": "upstream_error", "code": code}}


def read_json(text: Any) -> Any:
    """What a text says; one that was cut short, and what is none, stays as it is."""
    try:
        return wire.decode(text) if isinstance(text, str) else text
    except msgspec.DecodeError:
        return text


def fold_chunks(chunks: Iterable[Chunk]) -> bytes:
    """The chat completion that the chunks of a whole answer spell.

    Raises `UpstreamRejected` where there is an error among them.
    """
    folded = Fold()
    for chunk in chunks:
        if error := chunk.get("error"):
            code = error.get("code")
            status = code if isinstance(code, int) else 500
            raise UpstreamRejected(error["message"], upstream_status=status, code=code)
        folded.add(chunk)
    return wire.encode_plain(folded.response())
