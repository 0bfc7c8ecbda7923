"""Reads Gemini's answers as chunks. A whole answer has the form of one event of a stream."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from itertools import chain, repeat
from typing import Any

from briggs.types import json
from briggs.wires.base import Prepared
from briggs.wires.chunks import Chunk, ChunkWriter, write_error, write_usage
from briggs.wires.identifiers import find_original_names, fit_to
from briggs.wires.words.reasons import find_finish_reason

fit_name = fit_to("a-zA-Z0-9_.:-", length_max=64, first="a-zA-Z_")
"""Fits the names of functions to what Gemini accepts."""

# Every part of the text that cites a source repeats it, so these limits bound the annotations.
_SUPPORTS_MAX = 500
_SOURCE_CHARACTERS_MAX = 8192

# Members of a candidate that are translated. The choice keeps all others as they came.
_TRANSLATED = frozenset({"content", "finishReason", "index", "logprobsResult", "tokenCount"})


class GeminiReader:
    """Turns the events of one answer into chunks."""

    def __init__(self, prepared: Prepared) -> None:
        # Gemini does not mark the end of a stream: it just closes.
        self.done = False
        self._chunks = ChunkWriter(model=prepared.model)
        self._asked = prepared.envelope
        self._names = find_original_names(prepared.envelope, fit_name)
        self._candidates: dict[int, _Candidate] = {}

    def read(self, event: dict[str, Any]) -> Iterator[Chunk]:
        """The chunks for an event."""
        if error := event.get("error"):
            yield write_error(describe_error(error), code=error.get("code") or 500)
            return
        self._chunks.identify(id=event.get("responseId"), model=event.get("modelVersion"))
        for candidate in event.get("candidates") or ():
            index = candidate.get("index", 0)
            if index not in self._candidates:
                self._candidates[index] = self._open_candidate(index)
            yield from self._candidates[index].add(candidate)
        feedback = event.get("promptFeedback") or {}
        if (reason := feedback.get("blockReason")) and not self._candidates:
            yield from self._block(reason, feedback)
        finished = sum(candidate.finished for candidate in self._candidates.values())
        usage = event.get("usageMetadata")
        if usage and finished >= self._asked.choices_asked:
            yield self._chunks.usage(read_usage(usage))
        elif usage:
            yield self._chunks.usage_so_far(read_usage(usage))

    def _open_candidate(self, index: int) -> _Candidate:
        return _Candidate(
            index, self._chunks, top_logprobs=self._asked.top_logprobs, names=self._names
        )

    def _block(self, reason: str, feedback: dict[str, Any]) -> Iterator[Chunk]:
        """End every choice before it begins: a blocked prompt has no candidates."""
        for index in range(self._asked.choices_asked):
            candidate = self._candidates[index] = self._open_candidate(index)
            yield from candidate.block(reason, feedback)


class _Candidate:
    """One candidate, Gemini's name for a choice, as far as it has come."""

    def __init__(
        self, index: int, chunks: ChunkWriter, *, top_logprobs: int, names: Mapping[str, str]
    ) -> None:
        self.finished = False
        self._index = index
        self._chunks = chunks
        self._top_logprobs = top_logprobs
        self._names = names
        self._text = bytearray()
        self._extra: dict[str, Any] = {}

    def add(self, said: dict[str, Any]) -> Iterator[Chunk]:
        """The chunks for one event's part of the candidate."""
        logprobs = _read_logprobs(said.get("logprobsResult"), most=self._top_logprobs)
        for part in (said.get("content") or {}).get("parts") or ():
            if "functionCall" in part:
                yield from self._call(part["functionCall"], **_read_signature(part))
            elif delta := self._read_part(part):
                carried = logprobs if "content" in delta else None
                logprobs = None if carried else logprobs
                yield self._chunks.delta(choice=self._index, logprobs=carried, **delta)
        self._extra |= {name: value for name, value in said.items() if name not in _TRANSLATED}
        if reason := said.get("finishReason"):
            yield from self._end(reason)

    def block(self, native: str, feedback: dict[str, Any]) -> Iterator[Chunk]:
        """The chunks that end the candidate before it begins."""
        self.finished = True
        yield from self._chunks.finish(
            "content_filter",
            choice=self._index,
            native_finish_reason=native,
            promptFeedback=feedback,
        )

    def _read_part(self, part: dict[str, Any]) -> dict[str, Any]:
        match part:
            case {"text": str(text), "thought": True}:
                return {"reasoning_content": text, **_read_signature(part)}
            case {"text": str(text)}:
                self._text += text.encode("utf-8", "surrogatepass")
                return {**({"content": text} if text else {}), **_read_signature(part)}
        # An image, or code that was run: it is kept, and sent back later, as it came.
        return {"parts": [part]}

    def _call(self, call: dict[str, Any], **signature: Any) -> Iterator[Chunk]:
        # Only Vertex AI sends these, and only on request.
        if "partialArgs" in call:
            raise ValueError("the arguments of a call come in pieces")
        yield self._chunks.tool_call(
            id=call.get("id") or f"call_{uuid.uuid4().hex}",
            name=self._names.get(call["name"], call["name"]),
            choice=self._index,
            **signature,
        )
        arguments = json.encode_plain(call.get("args") or {}).decode()
        yield self._chunks.arguments(arguments, choice=self._index)

    def _end(self, native: str) -> Iterator[Chunk]:
        if find_finish_reason(native) is None:
            words = self._extra.get("finishMessage")
            message = f"Gemini ended its answer with {native}"
            yield write_error(f"{message}: {words}" if words else message, code=native)
            return
        self.finished = True
        if annotations := self._list_annotations():
            yield self._chunks.delta(choice=self._index, annotations=annotations)
        yield from self._chunks.finish(native, choice=self._index, **self._extra)

    def _list_annotations(self) -> list[dict[str, Any]]:
        """The web pages that the text cites. Gemini counts in bytes, annotations in characters."""
        grounding = self._extra.get("groundingMetadata") or {}
        sources = grounding.get("groundingChunks") or ()
        annotations: list[dict[str, Any]] = []
        for support in (grounding.get("groundingSupports") or ())[:_SUPPORTS_MAX]:
            segment = support["segment"]
            start, end = segment.get("startIndex", 0), segment.get("endIndex", 0)
            if self._text[start:end] != segment.get("text", "").encode():
                # These positions count from the beginning of another part.
                continue
            span = {
                "start_index": _count(self._text[:start]),
                "end_index": _count(self._text[:end]),
            }
            for index in dict.fromkeys(support.get("groundingChunkIndices", ())):
                web = sources[index].get("web", {})
                if "uri" in web and "title" in web and _is_short(web):
                    citation = {**span, "url": web["uri"], "title": web["title"]}
                    annotations.append({"type": "url_citation", "url_citation": citation})
        return annotations


def describe_error(error: dict[str, Any]) -> str:
    """An error's message, or its status if it has no message."""
    return str(error.get("message") or error["status"])


def read_usage(usage: dict[str, Any]) -> dict[str, Any]:
    """Convert Gemini's counts. Gemini leaves out counts of zero.

    `totalTokenCount` is reliable: all tokens beyond the prompt were written, even if the counts
    of candidates and thoughts are lower.
    """
    thoughts = usage.get("thoughtsTokenCount")
    prompt = usage.get("promptTokenCount", 0) + usage.get("toolUsePromptTokenCount", 0)
    written = usage.get("candidatesTokenCount", 0) + (thoughts or 0)
    completion = max(usage.get("totalTokenCount", 0) - prompt, 0) or written
    return write_usage(
        prompt,
        completion,
        prompt_details={
            "cached_tokens": usage.get("cachedContentTokenCount"),
            "audio_tokens": _count_audio(usage.get("promptTokensDetails")),
        },
        completion_details={
            "reasoning_tokens": None if thoughts is None else min(thoughts, completion),
            "audio_tokens": _count_audio(usage.get("candidatesTokensDetails")),
        },
    )


def _count_audio(details: list[dict[str, Any]] | None) -> int | None:
    counts = [item for item in details or () if item["modality"] == "AUDIO"]
    return sum(item.get("tokenCount", 0) for item in counts) if counts else None


def _read_logprobs(result: dict[str, Any] | None, *, most: int) -> dict[str, Any] | None:
    """The tokens, each with at most `most` alternatives: Gemini sends one even if 0 are wanted."""
    if not result:
        return None
    content = []
    tops = chain(result.get("topCandidates") or (), repeat({}))
    for token, top in zip(result.get("chosenCandidates") or (), tops, strict=False):
        others = (top.get("candidates") or [])[:most]
        content.append({**_read_token(token), "top_logprobs": list(map(_read_token, others))})
    return {"content": content, "refusal": None}


def _read_token(token: dict[str, Any]) -> dict[str, Any]:
    text = token.get("token", "")
    # If a token is only part of a character, its text is U+FFFD, not the token's own bytes.
    is_whole = "\ufffd" not in text
    return {
        "token": text,
        "logprob": token.get("logProbability", 0),
        "bytes": list(text.encode("utf-8", "surrogatepass")) if is_whole else None,
    }


def _is_short(web: dict[str, Any]) -> bool:
    """Whether a source is short enough to be repeated for every part of the text that cites it."""
    return len(web["uri"]) + len(web["title"]) <= _SOURCE_CHARACTERS_MAX


def _read_signature(part: dict[str, Any]) -> dict[str, Any]:
    """The signature, in the same place as on Google's own OpenAI-compatible endpoint."""
    signature = part.get("thoughtSignature")
    return {"extra_content": {"google": {"thought_signature": signature}}} if signature else {}


def _count(text: bytes | bytearray) -> int:
    return len(text.decode("utf-8", "ignore"))
