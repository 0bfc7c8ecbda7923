"""Collects what a target was asked and what it sent, and finds the rules that it broke."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from briggs.rules import Finding, check_error, check_response, check_stream
from briggs.rules.quick import is_plain_stream, is_plainly_asked
from briggs.types import json
from briggs.types.completions import Completion
from briggs.types.errors import BriggsError, UpstreamRejected, UpstreamTruncated
from briggs.wires.base import Prepared
from briggs.wires.chunks import USAGE_SO_FAR

_COUNTED = b'{"%b":' % USAGE_SO_FAR.encode()
DONE = b"data: [DONE]\n\n"


class Evidence(msgspec.Struct):
    """What one target was asked and what it sent, in the form of chat completions."""

    prepared: Prepared
    body: bytes | None = None
    """A whole answer."""
    is_plain: bool = False
    """Whether a quick check has cleared the whole answer."""
    alike: int = 0
    """How many chunks of a stream were seen to differ only in their text, one after the other."""
    is_cut: bool = False
    """Whether we stopped reading early because the caller had left."""
    frames: list[bytes] = []
    """A stream's chunks as events, if they were translated from another vendor's wire."""

    def add(self, payloads: Sequence[bytes]) -> None:
        """Note the chunks of one piece of a stream that was translated."""
        chunks = (payload for payload in payloads if not payload.startswith(_COUNTED))
        self.frames += [b"data: " + payload + b"\n\n" for payload in chunks]


class Case(msgspec.Struct):
    """One answer to judge."""

    completion: Completion
    evidence: Evidence
    body: bytes
    """The answer, the stream, or the body of an error."""
    error: BriggsError | None = None
    """The error that the call failed with."""


def open_case(
    completion: Completion, evidence: Evidence | None, error: BriggsError | None
) -> Case | None:
    """The case of a call; None if nothing came, or if a quick check has cleared what came."""
    body = None if evidence is None else _read_body(completion, evidence, error)
    if evidence is None or not body:
        return None
    if error is None and not completion.fixes and _is_plain(completion, evidence, body):
        return None
    return Case(completion, evidence, body, error)


def _is_plain(completion: Completion, evidence: Evidence, body: bytes) -> bool:
    """Whether a quick check shows that the answer breaks no rule."""
    prepared = evidence.prepared
    return is_plainly_asked(
        prepared.envelope.values,
        model=None if prepared.names_deployment else prepared.model,
        answered=completion.response_model or "",
        tokens=completion.completion_tokens or 0,
    ) and (
        not prepared.envelope.logprobs and is_plain_stream(body, alike=evidence.alike)
        if completion.stream
        else evidence.is_plain
    )


def _read_body(
    completion: Completion, evidence: Evidence, error: BriggsError | None
) -> bytes | None:
    """What the target sent, in the form of a chat completion."""
    if evidence.frames:
        is_ended = error is None and not evidence.is_cut
        return b"".join(evidence.frames) + (DONE if is_ended else b"")
    if evidence.body is not None or evidence.prepared.translated:
        return evidence.body
    return completion.received


def find_broken(case: Case) -> list[str]:
    """The ids of the broken rules, sorted. Findings of severity `info` are left out."""
    findings = _find(case)
    broken = {finding.rule for finding in findings if finding.severity != "info"}
    # We always ask the upstream for usage, to record it, even if the caller did not.
    return sorted(broken - {"S9"})


def _find(case: Case) -> list[Finding]:
    error, evidence = case.error, case.evidence
    request = _read_request(evidence.prepared)
    if isinstance(error, UpstreamRejected) and _is_status(case, error):
        return check_error(case.body, status=error.upstream_status)
    if not case.completion.stream:
        return check_response(case.body, request=request)
    whole = not evidence.is_cut and (error is None or isinstance(error, UpstreamTruncated))
    return check_stream(case.body, request=request, whole=whole)


def _is_status(case: Case, error: UpstreamRejected) -> bool:
    """Whether the body is that of an error status, and not of an error inside an answer."""
    is_body = case.evidence.body is None and case.body is error.received
    return is_body and error.upstream_status != 200


def _read_request(prepared: Prepared) -> bytes:
    """The caller's request as this target got it: with its model, without dropped members."""
    members: dict[str, Any] = {**prepared.envelope.members, "model": prepared.model}
    for name in (*prepared.dropped, *(("model",) if prepared.names_deployment else ())):
        members.pop(name, None)
    return json.encode_plain(members)
