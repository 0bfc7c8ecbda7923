"""Writes the chunks for an answer in another vendor's format, whole or streamed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from briggs.types import json
from briggs.types.envelope import CALLS_MAX, CHOICES_MAX
from briggs.types.errors import UpstreamInvalid, UpstreamRejected
from briggs.types.fold import Fold
from briggs.wires.words.reasons import find_finish_reason

Chunk = dict[str, Any]

USAGE_SO_FAR = "usage_so_far"
"""A chunk with only this member has the usage so far, and is not passed on. It comes from vendors
that count before the end."""

MALFORMED = (
    *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
    msgspec.DecodeError,
)
"""The exceptions of a reader whose input does not have the shape of an answer."""


class ChunkWriter:
    """Makes the chunks of one answer, all with the same id, time and model.

    `choice` is the index of a choice. The first chunk of each choice sets its role. An answer with
    more choices, or a choice with more tool calls, than a request can ask for is `UpstreamInvalid`.
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
        """The choices that have text."""
        self._calls: Counter[int] = Counter()
        """The number of tool calls in each choice."""

    def identify(self, *, id: str | None, model: str | None = None) -> None:
        """Set the vendor's id and model. Only the first call counts."""
        if self._identity["id"] is None:
            self._identity |= {"id": id, "model": model or self._identity["model"]}

    def count_calls(self, choice: int = 0) -> int:
        """The number of tool calls in a choice so far."""
        return self._calls[choice]

    def delta(
        self, *, choice: int = 0, logprobs: dict[str, Any] | None = None, **delta: Any
    ) -> Chunk:
        """A chunk that adds to a message."""
        if delta.get("content"):
            self._texts.add(choice)
        return self._write(choice, delta, logprobs=logprobs)

    def tool_call(self, *, id: str, name: str, choice: int = 0, **call: Any) -> Chunk:
        """A chunk that begins the next tool call, before its arguments."""
        function = {"name": name, "arguments": ""}
        begun = {"index": self._calls[choice], "id": id, "type": "function", "function": function}
        self._calls[choice] += 1
        if self._calls[choice] > CALLS_MAX:
            raise UpstreamInvalid(f"a choice has more than {CALLS_MAX} tool calls")
        return self._write(choice, {"tool_calls": [{**begun, **call}]})

    def arguments(self, text: str, *, choice: int = 0, call: int | None = None) -> Chunk:
        """A chunk that adds to the arguments of a call, by default the last one."""
        index = self._calls[choice] - 1 if call is None else call
        more = {"index": index, "function": {"arguments": text}}
        return self._write(choice, {"tool_calls": [more]})

    def citations(
        self, citations: list[dict[str, Any]], *, urls: list[str | None], begin: int, end: int
    ) -> Chunk:
        """A chunk with the vendor's citations for the text from `begin` to `end`.

        Citations with a URL become annotations too.
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
        """End a choice. `native` is the vendor's reason, and `members` are added to the choice.

        The members `beside` it belong to the whole answer.
        """
        reason = find_finish_reason(native) or native
        if reason == "stop" and self.count_calls(choice):
            reason = "tool_calls"
        if reason == "stop" and choice not in self._texts:
            # After a tool's result the model may add nothing: the text is empty, not null.
            yield self.delta(choice=choice, content="")
        elif choice not in self._begun:
            yield self.delta(choice=choice)
        members = {"finish_reason": reason, "native_finish_reason": native, **members}
        yield {**self._write(choice, {}, **members), **beside}

    def usage(self, usage: dict[str, Any]) -> Chunk:
        """A chunk with the usage, after all choices have ended."""
        return {**self._identity, "choices": [], "usage": usage}

    def usage_so_far(self, usage: dict[str, Any]) -> Chunk:
        """The usage up to now, for the record of an answer that is cut short."""
        return {USAGE_SO_FAR: usage}

    def _write(self, index: int, delta: dict[str, Any], **members: Any) -> Chunk:
        if index not in self._begun:
            self._begun.add(index)
            if len(self._begun) > CHOICES_MAX:
                raise UpstreamInvalid(f"the answer has more than {CHOICES_MAX} choices")
            delta = {"role": "assistant", **delta}
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
        return {**self._identity, "choices": [{**choice, **members}]}


def write_error(message: str, *, code: str | int) -> Chunk:
    """An error in place of a chunk, if the vendor gave up."""
    return {"error": {"message": message, "type": "upstream_error", "code": code}}


def write_usage(
    prompt: int,
    completion: int,
    *,
    prompt_details: Mapping[str, int | None] = {},
    completion_details: Mapping[str, int | None] = {},
) -> dict[str, Any]:
    """A usage in OpenAI's format. Details of None are left out."""
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
    """Decode a text. Any other value stays as it is, and so does a text that is not JSON."""
    try:
        return json.decode(text) if isinstance(text, str) else text
    except msgspec.DecodeError:
        return text


def decode_answer(
    body: bytes, read: Callable[[dict[str, Any]], Iterable[Chunk]], *, vendor: str
) -> bytes:
    """Turn a whole answer into a chat completion, from the chunks that `read` makes of it.

    Raises `UpstreamInvalid`, or `UpstreamRejected` if there is an error among the chunks.
    """
    try:
        return _fold(read(json.decode(body)))
    except MALFORMED as error:
        raise UpstreamInvalid(f"the upstream's answer is not in {vendor}'s format") from error


def _fold(chunks: Iterable[Chunk]) -> bytes:
    folded = Fold()
    for chunk in chunks:
        if error := chunk.get("error"):
            code = error.get("code")
            status = code if isinstance(code, int) and 400 <= code < 600 else 500
            raise UpstreamRejected(error["message"], upstream_status=status, code=code)
        if USAGE_SO_FAR not in chunk:
            folded.add(chunk)
    return json.encode_plain(folded.response())
