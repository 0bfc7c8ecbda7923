"""What answers break of the rule book: found when they have gone out, and then recorded."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from typing import Any

import msgspec

from briggs.providers.base import Piece, Prepared
from briggs.storage import Store
from briggs.types.completions import Completion
from briggs.types.errors import BriggsError, UpstreamRejected, UpstreamTruncated
from briggs.types.plain import is_plain_stream
from briggs.types.rules import Finding, check_error, check_response, check_stream
from briggs.types.rules.envelope import is_version_of

logger = logging.getLogger(__name__)

WAITING_MAX = 1_000
WAITING_BYTES_MAX = 64 * 1024 * 1024
PAUSE_S = 0.01
DONE = b"data: [DONE]\n\n"
LARGE_BYTES = 64 * 1024
"""What takes longer than a millisecond or so is judged in a thread."""


class Evidence(msgspec.Struct):
    """What one target was asked, and what it sent, as chat completions."""

    prepared: Prepared
    body: bytes | None = None
    """A whole answer."""
    is_plain: bool = False
    """Whether a short look at it was enough."""
    frames: list[bytes] = []
    """A stream's chunks as events, where the upstream's own are another vendor's."""

    def add(self, piece: Piece) -> None:
        """Note what one read of a stream brought."""
        if self.prepared.translated:
            self.frames += [b"data: " + payload + b"\n\n" for payload in piece.payloads]


class Case(msgspec.Struct):
    """What is to be judged."""

    completion: Completion
    evidence: Evidence
    body: bytes
    """The answer, the stream, or an error's body."""
    error: BriggsError | None = None
    """What the call failed with."""


class Judge:
    """Judges one case after the other, and records what is found a few at a time."""

    def __init__(self, store: Store) -> None:
        self.broken: Counter[tuple[str, str]] = Counter()
        """How many completions broke a rule, by provider and rule."""
        self._store = store
        self._waiting: deque[Case] = deque()
        self._bytes = 0
        self._task: asyncio.Task[None] | None = None

    async def take(
        self, completion: Completion, evidence: Evidence | None, error: BriggsError | None = None
    ) -> None:
        """Take a call that is recorded; waits only where too many wait already."""
        case = open_case(completion, evidence, error)
        if case is None:
            return
        self._waiting.append(case)
        self._bytes += len(case.body)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work())
        if len(self._waiting) > WAITING_MAX or self._bytes > WAITING_BYTES_MAX:
            await asyncio.shield(self._task)

    async def catch_up(self, *, timeout_s: float | None = None) -> None:
        """Wait until all that waits is judged and recorded, or for so long."""
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task], timeout=timeout_s)

    async def _work(self) -> None:
        # The answers go out first.
        await asyncio.sleep(PAUSE_S)
        while self._waiting:
            found: dict[str, list[str]] = {}
            while self._waiting and len(found) < WAITING_MAX:
                case = self._waiting.popleft()
                self._bytes -= len(case.body)
                if rules := await _judge(case):
                    found[case.completion.id] = rules
                    provider = case.completion.provider or ""
                    self.broken.update((provider, rule) for rule in rules)
                # The calls that came meanwhile go first.
                await asyncio.sleep(0)
            if found:
                await self._record(found)

    async def _record(self, found: dict[str, list[str]]) -> None:
        try:
            await self._store.record_violates(found)
        except BriggsError as error:
            logger.error("what %d answers break was not recorded: %s", len(found), error)


async def _judge(case: Case) -> list[str]:
    if len(case.body) < LARGE_BYTES:
        return find_broken(case)
    return await asyncio.to_thread(find_broken, case)


def open_case(
    completion: Completion, evidence: Evidence | None, error: BriggsError | None
) -> Case | None:
    """The case of a call; None where nothing came, or nothing can be wrong with what did."""
    body = None if evidence is None else _read_body(completion, evidence, error)
    if evidence is None or not body:
        return None
    if error is None and not completion.fixes and _is_plain(completion, evidence, body):
        return None
    return Case(completion, evidence, body, error)


def _is_plain(completion: Completion, evidence: Evidence, body: bytes) -> bool:
    """Whether a short look tells that it breaks no rule."""
    if not _is_plainly_asked(completion, evidence):
        return False
    return is_plain_stream(body) if completion.stream else evidence.is_plain


def _read_body(
    completion: Completion, evidence: Evidence, error: BriggsError | None
) -> bytes | None:
    """What came, in the words of a chat completion."""
    if evidence.frames:
        return b"".join(evidence.frames) + (DONE if error is None else b"")
    if evidence.body is not None or evidence.prepared.translated:
        return evidence.body
    return completion.received or completion.response


def _is_plainly_asked(completion: Completion, evidence: Evidence) -> bool:
    """Whether a text that came to its end is all that the request allows."""
    prepared, values = evidence.prepared, evidence.prepared.envelope.values
    limit = values.get("max_completion_tokens") or values.get("max_tokens")
    return (
        not any(values.get(name) for name in ("stop", "response_format", "service_tier"))
        and values.get("tool_choice") in (None, "none", "auto")
        and (limit is None or (completion.completion_tokens or 0) <= limit)
        and not (completion.stream and prepared.envelope.logprobs)
        and is_version_of(completion.response_model or "", prepared.model)
    )


def find_broken(case: Case) -> list[str]:
    """The ids of the rules that are broken, sorted; what is only worth knowing is left out."""
    findings = _find(case)
    broken = {finding.rule for finding in findings if finding.severity != "info"}
    # Usage is asked for whoever did not, so that it is there to be recorded.
    return sorted(broken - {"S9"})


def _find(case: Case) -> list[Finding]:
    error, evidence = case.error, case.evidence
    request = _read_request(evidence.prepared)
    if isinstance(error, UpstreamRejected) and _is_status(case, error):
        return check_error(case.body, status=error.upstream_status)
    if not case.completion.stream:
        return check_response(case.body, request=request)
    whole = error is None or isinstance(error, UpstreamTruncated)
    return check_stream(case.body, request=request, whole=whole)


def _is_status(case: Case, error: UpstreamRejected) -> bool:
    """Whether the answer had another status than 200; what comes after that one has no body."""
    is_body = case.evidence.body is None and case.body is error.received
    return is_body and error.upstream_status != 200


def _read_request(prepared: Prepared) -> bytes:
    """The caller's request, of the model that was asked and without what was left out."""
    members: dict[str, Any] = dict(prepared.envelope.members)
    for name in prepared.dropped:
        members.pop(name, None)
    return msgspec.json.encode({**members, "model": prepared.model})
