"""The public checks: of a response, a stream, an error and a request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from importlib import import_module

from briggs.rules.answer import CheckedAnswer, CheckedBody, CheckedRequest, read_request
from briggs.rules.book import BOOK, FINDINGS_MAX, Finding, Rule, judge
from briggs.rules.events import CheckedStream, is_chunk
from briggs.rules.http import ErrorBody
from briggs.rules.model_events import CheckedModelStream
from briggs.rules.model_response import CheckedModelResponse
from briggs.types.any_json import Members

# Every module enters its rules into the book when it is imported.
for _chapter in (
    *("envelope", "choices", "message", "logprobs", "usage", "stream", "request"),
    *("model_response", "model_events"),
):
    import_module(f"briggs.rules.{_chapter}")

_GROUPS = "JECMLUSRHP"

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
    read = CheckedBody(body)
    findings = judge("body", read)
    if read.fault is not None:
        return findings
    return findings + judge("model response", _open_model_response(read.members, request))


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
        answer = _open_model_response(stream.response, request)
        findings += judge("model response", answer, at="response")
    return _keep_first(findings)


def _open_model_response(value: Members, request: bytes | None) -> CheckedModelResponse:
    asked = None if request is None else CheckedBody(request).members
    return CheckedModelResponse(value, asked)
