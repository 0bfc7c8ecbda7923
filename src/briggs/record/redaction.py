"""Replaces secrets and personal data by marks, before a completion is recorded.

A mark, such as `[redacted:email]`, says what was there and nothing else. Only the record changes:
the caller gets the answer as it came, and the upstream the request.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from briggs.record.detectors import Detector, compile_pattern, open_detectors
from briggs.record.json_strings import change_strings, is_json, list_strings
from briggs.record.names import TEXT_BYTES_MAX, NameDetector, is_prose
from briggs.settings import FileSettings, Problem, RedactionSettings
from briggs.types import json
from briggs.types.completions import Attempt, Completion

_TEXTS = (
    *("model", "response_model", "response_id", "system_fingerprint", "user", "session_id"),
    *("retry_of", "failure_kind", "failure_reason"),
)
_LABELS = ("tags", "metadata", "call_site", "dropped", "finish_reasons")
_WITHOUT_TEXTS: dict[str, Any] = {
    **dict.fromkeys(_TEXTS),
    "model": "",
    "tags": [],
    "metadata": {},
    "call_site": {},
    "dropped": [],
    "finish_reasons": [],
    "attempts": [],
    "request": b"",
    "response": None,
    "received": None,
    "failure_reason": "It was recorded without its texts, because they could not be redacted.",
}
_TOO_LONG = "It was recorded without its texts, because they are too long to look for names."
_MARK = re.compile(rb"\[redacted:([a-z0-9_-]{1,40})\]")
_KIND = re.compile(r"[a-z0-9_-]{1,40}")
_MARK_BEGIN = b"[redacted:"
_BETWEEN = b"\x01"
_FIELDS = (b":", b"event:", b"id:", b"retry:")
_STARTED_MAX = 10_000

logger = logging.getLogger("briggs")


class _Found(NamedTuple):
    """A part of a text that is to be redacted."""

    begin: int
    end: int
    length: int
    kind: str


class Redaction:
    """The detectors of one reading of the file. May be used from any thread."""

    def __init__(self, detectors: Sequence[Detector | NameDetector]) -> None:
        self._detectors = detectors
        self._finds_names = any(isinstance(each, NameDetector) for each in detectors)
        self._is_anchored = any(each.is_anchored for each in detectors)
        self._requests: dict[str, tuple[bytes, bytes]] = {}
        """The requests of calls that have begun, as they came and as they are recorded."""

    @property
    def is_quick(self) -> bool:
        """Whether a small completion takes less than a millisecond."""
        return not self._finds_names

    def redact(self, completion: Completion) -> Completion:
        """The completion as it is to be recorded. The one that is given does not change.

        What cannot be redacted is not recorded.
        """
        try:
            if self._finds_names and _count_prose(completion) > TEXT_BYTES_MAX:
                texts = {**_WITHOUT_TEXTS, "failure_reason": _TOO_LONG}
                return msgspec.structs.replace(completion, **texts)
            return self._redact(completion)
        except Exception as error:
            name = type(error).__name__
            logger.error("the completion %s is recorded without texts: %s", completion.id, name)
            return msgspec.structs.replace(completion, **_WITHOUT_TEXTS)

    def _redact(self, completion: Completion) -> Completion:
        changes: dict[str, Any] = {
            "request": self._redact_request(completion),
            "received": self._redact_received(completion),
        }
        labels = {name: getattr(completion, name) for name in (*_TEXTS, *_LABELS)}
        attempts = msgspec.to_builtins(completion.attempts)
        texts = _list_texts([labels, attempts])
        if self._finds_any([*texts, *self._list_candidates(completion.response or b"")]):
            changes |= {name: self.redact_value(value) for name, value in labels.items()}
            changes["attempts"] = msgspec.convert(self.redact_value(attempts), list[Attempt])
            changes["response"] = self._redact_body(completion.response)
        changed = msgspec.structs.replace(completion, **changes)
        changed.redacted = _count_marks(changed)
        return changed

    def redact_value(self, value: Any) -> Any:
        """A value of JSON, with every text in it redacted."""
        if isinstance(value, str):
            return self._redact_text(value)
        if isinstance(value, list):
            return [self.redact_value(each) for each in value]
        if isinstance(value, dict):
            return {self.redact_value(key): self.redact_value(each) for key, each in value.items()}
        return value

    def _redact_request(self, completion: Completion) -> bytes:
        """The request is the same at the end of a call as at its start."""
        known = self._requests.pop(completion.id, None)
        if known is not None and known[0] is completion.request:
            redacted = known[1]
        else:
            redacted = self._redact_body(completion.request) or b""
        if completion.status == "started" and completion.source == "gateway":
            if len(self._requests) >= _STARTED_MAX:
                self._requests.clear()
            self._requests[completion.id] = (completion.request, redacted)
        return redacted

    def _redact_received(self, completion: Completion) -> bytes | None:
        """What the upstream sent. A stream with anything to redact is left out.

        A secret may be spread over its chunks, and no chunk alone shows that.
        """
        received = completion.received
        if not received or not completion.stream or is_json(received):
            return self._redact_body(received)
        texts = _join_chunks(received)
        return None if texts is None or self._finds_any([received, *texts]) else received

    def _redact_body(self, body: bytes | None) -> bytes | None:
        if not body or not self._finds_any(self._list_candidates(body)):
            return body
        if not is_json(body):
            return self._change(change_strings(body, self._change))
        if self._finds_any([*_list_spelled(body)]):
            body = self._redact_tokens(body)
        return change_strings(body, self._change)

    def _list_candidates(self, body: bytes) -> list[bytes]:
        """Texts such that whatever is to be redacted in a body is found in one of them."""
        texts = [body]
        if self._is_anchored:
            texts += list_strings(body)
        elif b"\\" in body:
            # The other strings stand in the body as they are.
            texts += list_strings(body, escaped_only=True)
        return [*texts, *_list_spelled(body)]

    def _redact_tokens(self, body: bytes) -> bytes:
        """Replace the tokens that spell what is redacted, with their bytes and alternatives."""
        value = json.decode(body)
        for holder, name, tokens in _list_tokens(value):
            spelled = [_spell(token) for token in tokens]
            spans = [*self._find(b"".join(spelled))]
            if not spans:
                continue
            if not all(isinstance(token, dict) for token in tokens):
                # Text completions have their tokens, logprobs and offsets in several lists.
                holder.clear()
                continue
            holder[name] = list(_mark_tokens(tokens, spelled, spans))
        return json.encode_plain(value)

    def _redact_text(self, text: str) -> str:
        before = text.encode("utf-8", "surrogatepass")
        after = self._change(before)
        return text if after is before else after.decode("utf-8", "surrogatepass")

    def _finds_any(self, texts: Sequence[bytes]) -> bool:
        """Whether anything in the texts is to be redacted. It may find what is in none of them."""
        together = _BETWEEN.join(texts)
        for detector in self._detectors:
            if isinstance(detector, NameDetector) or detector.is_anchored:
                if any(next(detector.find(text), None) for text in texts):
                    return True
            elif detector.pattern.search(together) is not None and next(
                detector.find(together), None
            ):
                return True
        return False

    def _find(self, text: bytes) -> list[_Found]:
        """What to redact in a text, in order. Of what overlaps, the longest gives the kind."""
        spans = sorted(
            _Found(begin, end, end - begin, detector.kind)
            for detector in self._detectors
            for begin, end in detector.find(text)
        )
        found: list[_Found] = []
        for span in spans:
            last = found[-1] if found else None
            if last is None or span.begin >= last.end:
                found.append(span)
                continue
            longer = max(last, span, key=lambda each: each.length)
            found[-1] = longer._replace(begin=last.begin, end=max(last.end, span.end))
        return found

    def _change(self, text: bytes) -> bytes:
        """A text with marks. The same object if there is nothing to redact."""
        spans = self._find(text)
        if not spans:
            return text
        pieces, last = [], 0
        for begin, end, _, kind in spans:
            pieces += [text[last:begin], f"[redacted:{kind}]".encode()]
            last = end
        return b"".join([*pieces, text[last:]])


def open_redaction(settings: RedactionSettings) -> Redaction | None:
    """The redaction that a file asks for; None if it asks for none. Raises `ValueError`."""
    names = () if settings.names is None else (NameDetector(settings.names),)
    detectors = (*open_detectors(settings.detect, settings.patterns), *names)
    return Redaction(detectors) if detectors else None


def _count_prose(completion: Completion) -> int:
    """How many bytes of text its bodies have."""
    bodies = (completion.request, completion.response, completion.received)
    return sum(
        len(text) for body in bodies if body for text in list_strings(body) if is_prose(text)
    )


def _count_marks(completion: Completion) -> dict[str, int]:
    """How many marks of each kind the record has. What the upstream sent is not counted again."""
    labels = [getattr(completion, name) for name in (*_TEXTS, *_LABELS)]
    counts: Counter[str] = Counter()
    for text in (completion.request, completion.response or b"", b"\n".join(_list_texts(labels))):
        if _MARK_BEGIN in text:
            counts.update(match[1].decode() for match in _MARK.finditer(text))
    return dict(counts)


def _list_texts(value: Any) -> list[bytes]:
    """The texts in a value of JSON, keys too."""
    if isinstance(value, str):
        return [value.encode("utf-8", "surrogatepass")]
    if isinstance(value, dict):
        value = [*value, *value.values()]
    return [text for each in value for text in _list_texts(each)] if isinstance(value, list) else []


def _join_chunks(received: bytes) -> list[bytes] | None:
    """The texts of a stream, each put together from all chunks. None if it cannot be read."""
    texts: dict[tuple[Any, ...], list[str]] = {}
    for line in received.splitlines():
        payload = line.removeprefix(b"data:").strip()
        if not payload or payload == b"[DONE]" or line.startswith(_FIELDS):
            continue
        try:
            _collect(json.decode(payload), (), texts)
        except msgspec.DecodeError:
            return None
    return ["".join(pieces).encode("utf-8", "surrogatepass") for pieces in texts.values()]


def _collect(value: Any, path: tuple[Any, ...], texts: dict[tuple[Any, ...], list[str]]) -> None:
    """Add the texts of one chunk to those at the same places of earlier ones."""
    if isinstance(value, str):
        texts.setdefault(path, []).append(value)
    elif isinstance(value, dict):
        # Choices, blocks and calls say which they are.
        named = [each for name, each in value.items() if name.endswith("index")]
        for name, each in value.items():
            _collect(each, (*path, *map(str, named), name), texts)
    elif isinstance(value, list):
        for at, each in enumerate(value):
            has_index = isinstance(each, dict) and "index" in each
            _collect(each, path if has_index else (*path, at), texts)


def _list_spelled(body: bytes) -> Iterator[bytes]:
    """The texts that the tokens of an answer spell."""
    if b'"token' not in body:
        return
    try:
        value = json.decode(body)
    except msgspec.DecodeError:
        return
    for _, _, tokens in _list_tokens(value):
        yield b"".join(map(_spell, tokens))


def _list_tokens(value: Any) -> Iterator[tuple[dict[str, Any], str, list[Any]]]:
    """The lists of tokens in an answer, and where each is: in which object, under which name."""
    if isinstance(value, list):
        for each in value:
            yield from _list_tokens(each)
    elif isinstance(value, dict):
        for name, each in [*value.items()]:
            if name == "top_logprobs":
                continue
            is_token = _is_text if name == "tokens" else _is_token
            if isinstance(each, list) and each and all(map(is_token, each)):
                yield value, name, each
            else:
                yield from _list_tokens(each)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_token(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("token"), str)


def _spell(token: Any) -> bytes:
    """The bytes that a token stands for."""
    if isinstance(token, str):
        return token.encode("utf-8", "surrogatepass")
    given = token.get("bytes")
    if isinstance(given, list) and all(isinstance(each, int) and 0 <= each < 256 for each in given):
        return bytes(given)
    return str(token["token"]).encode("utf-8", "surrogatepass")


def _mark_tokens(
    tokens: Sequence[dict[str, Any]],
    spelled: Sequence[bytes],
    spans: Sequence[_Found],
) -> Iterator[dict[str, Any]]:
    """The tokens, with marks in place of those that a span covers."""
    begin = 0
    for token, text in zip(tokens, spelled, strict=True):
        end = begin + len(text)
        is_covered = any(each.begin < end and each.end > begin for each in spans)
        begin = end
        if not is_covered:
            yield token
        else:
            marked = {**token, "token": "[redacted]", "bytes": None}
            yield marked | ({"top_logprobs": []} if "top_logprobs" in token else {})


def check_redaction(file: FileSettings) -> Iterator[Problem]:
    """Find the patterns of a file that cannot be used, and the pipeline that cannot."""
    if file.redaction.names is not None:
        try:
            NameDetector(file.redaction.names)
        except ValueError as error:
            yield Problem(("redaction", "names"), str(error))
    for name, pattern in file.redaction.patterns.items():
        path = ("redaction", "patterns", name)
        if not _KIND.fullmatch(name):
            yield Problem(
                path, "a name has 1 to 40 lower-case letters, digits, hyphens and underscores"
            )
        try:
            compiled = compile_pattern(pattern)
        except ValueError as error:
            yield Problem(path, f"is not a pattern for RE2: {error}")
            continue
        if compiled.search(b"") is not None:
            yield Problem(path, "matches the empty text, so it matches everywhere")
