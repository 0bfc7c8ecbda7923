"""The public checks: of a response, a stream, an error and a request, of each API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from importlib import import_module

from briggs.rules.answer import CheckedAnswer, CheckedBody, CheckedRequest, read_request
from briggs.rules.blocks_events import CheckedBlocksStream
from briggs.rules.blocks_message import CheckedBlocksMessage
from briggs.rules.book import BOOK, FINDINGS_MAX, Finding, Rule, Subject, judge
from briggs.rules.embeddings import CheckedEmbeddings
from briggs.rules.events import CheckedStream, is_chunk
from briggs.rules.http import ErrorBody
from briggs.rules.model_events import CheckedModelStream
from briggs.rules.model_response import CheckedModelResponse
from briggs.rules.moderations import CheckedModeration
from briggs.rules.text_completion import CheckedText, CheckedTextStream
from briggs.types.any_json import Members

# Every module enters its rules into the book when it is imported.
for _chapter in (
    *("envelope", "choices", "message", "logprobs", "usage", "stream", "request"),
    *("model_response", "model_events", "blocks_message", "blocks_events"),
    *("embeddings", "moderations", "text_completion"),
):
    import_module(f"briggs.rules.{_chapter}")

_GROUPS = "JECMLUSRHPAVTO"

RULES: Mapping[str, Rule] = {
    id: BOOK[id] for id in sorted(BOOK, key=lambda id: (_GROUPS.index(id[0]), int(id[1:])))
}
"""Every rule, in the order of the book."""


BYTES_MAX = 16 * 1024 * 1024
LINES_MAX = 200_000
_SHORT_LINES_MAX = 20_000
# A chunk of one token has more than 100, and a blank line after it.
_LINE_BYTES_MIN = 30


def is_checkable(body: bytes) -> bool:
    """Whether it is small enough: as values, many small chunks take a hundred times their bytes."""
    lines = body.count(b"\n")
    is_dense = lines > _SHORT_LINES_MAX and len(body) < lines * _LINE_BYTES_MIN
    return len(body) <= BYTES_MAX and lines <= LINES_MAX and not is_dense


def check_response(body: bytes, *, request: bytes | None = None) -> list[Finding]:
    """The rules that a whole answer breaks."""
    read, asked = CheckedBody(body), read_request(request)
    findings = judge("body", read)
    if read.fault is not None:
        # NaN and Infinity may stand in place of probabilities.
        return findings + judge(
            "response", CheckedAnswer(read.read_leniently(), asked), only={"L3"}
        )
    return findings + judge("response", CheckedAnswer(read.members, asked))


def check_stream(
    received: bytes,
    *,
    request: bytes | None = None,
    content_type: str | None = None,
    whole: bool = True,
) -> list[Finding]:
    """The rules that a stream breaks: in each event, and in the response that they form.

    If `whole` is false, the stream was cut off before the upstream could end it, and the rules
    about its end do not apply.
    """
    stream = CheckedStream(received, read_request(request), content_type=content_type, whole=whole)
    findings = judge("stream", stream)
    for chunk in stream.chunks:
        findings += judge("body", chunk.body, at=chunk.path)
        if is_chunk(chunk):
            findings += judge("chunk", chunk.answer, at=chunk.path)
    if stream.is_whole and stream.chunks:
        folded = CheckedAnswer(stream.folded, stream.request)
        findings += judge("response", folded, at="fold", skip=_KEPT_BY_CHUNKS)
    return _keep_first(findings)


def _keep_first(findings: list[Finding]) -> list[Finding]:
    """The first of each rule: a rule that every chunk breaks needs no more."""
    counts: Counter[str] = Counter()
    kept = []
    for finding in findings:
        counts[finding.rule] += 1
        if counts[finding.rule] <= FINDINGS_MAX:
            kept.append(finding)
    return kept


# Each chunk was checked for these, and S11 is M7 for streams.
_KEPT_BY_CHUNKS = ("E1", "E5", "E8", "C3", "M2", "M5", "M7", "L2", "U1")


def check_error(body: bytes, *, status: int, content_type: str | None = None) -> list[Finding]:
    """The rules that an answer with a status other than 2xx breaks."""
    return judge("error", ErrorBody(body, status=status, content_type=content_type))


def check_request(body: bytes) -> list[Finding]:
    """The rules that a request breaks."""
    read = CheckedBody(body)
    return judge("body", read) + judge("request", CheckedRequest(read.members))


def check_model_response(body: bytes, *, request: bytes | None = None) -> list[Finding]:
    """The rules that a whole answer of the Responses API breaks."""
    return _check_whole(body, "model response", CheckedModelResponse, request)


def check_model_stream(
    received: bytes,
    *,
    request: bytes | None = None,
    content_type: str | None = None,
    whole: bool = True,
) -> list[Finding]:
    """The rules that a stream of the Responses API breaks. `whole` is as for `check_stream`."""
    stream = CheckedModelStream(received, content_type=content_type, whole=whole)
    findings = judge("model stream", stream)
    if stream.response:
        answer = CheckedModelResponse(stream.response, _read_members(request))
        findings += judge("model response", answer, at="response")
    return _keep_first(findings)


def check_blocks_message(body: bytes, *, request: bytes | None = None) -> list[Finding]:
    """The rules that a whole answer of the Messages API breaks."""
    return _check_whole(body, "message", CheckedBlocksMessage, request)


def check_blocks_stream(
    received: bytes,
    *,
    request: bytes | None = None,
    content_type: str | None = None,
    whole: bool = True,
) -> list[Finding]:
    """The rules that a stream of the Messages API breaks. `whole` is as for `check_stream`."""
    stream = CheckedBlocksStream(received, content_type=content_type, whole=whole)
    findings = judge("message stream", stream)
    if stream.is_whole and stream.message:
        answer = CheckedBlocksMessage(stream.message, _read_members(request))
        findings += judge("message", answer, at="message")
    return _keep_first(findings)


def check_blocks_error(
    body: bytes, *, status: int, content_type: str | None = None
) -> list[Finding]:
    """The rules that an error of the Messages API breaks."""
    return judge("message error", ErrorBody(body, status=status, content_type=content_type))


def check_embeddings(body: bytes, *, request: bytes | None = None) -> list[Finding]:
    """The rules that an answer of the embeddings API breaks."""
    return _check_whole(body, "embeddings", CheckedEmbeddings, request)


def check_moderation(body: bytes, *, request: bytes | None = None) -> list[Finding]:
    """The rules that an answer of the moderations API breaks."""
    return _check_whole(body, "moderation", CheckedModeration, request)


def check_text(body: bytes, *, request: bytes | None = None) -> list[Finding]:
    """The rules that a whole text completion breaks."""
    return _check_whole(body, "text completion", CheckedText, request)


def check_text_stream(
    received: bytes,
    *,
    request: bytes | None = None,
    content_type: str | None = None,
    whole: bool = True,
) -> list[Finding]:
    """The rules that a streamed text completion breaks. `whole` is as for `check_stream`."""
    asked = _read_members(request)
    stream = CheckedTextStream(received, asked, content_type=content_type, whole=whole)
    findings = judge("text stream", stream)
    for path, body in stream.chunks:
        if body.members and "error" not in body.members:
            findings += judge("text completion", stream.open_chunk(body), at=path)
    return _keep_first(findings)


def _check_whole(
    body: bytes,
    subject: Subject,
    open_answer: Callable[[Members, Members | None], object],
    request: bytes | None,
) -> list[Finding]:
    read = CheckedBody(body)
    findings = judge("body", read)
    if read.fault is not None:
        return findings
    return findings + judge(subject, open_answer(read.members, _read_members(request)))


def _read_members(request: bytes | None) -> Members | None:
    return None if request is None else CheckedBody(request).members
