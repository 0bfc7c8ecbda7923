"""Runs of the playground: each is an ordinary call, told to the browser as it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, NamedTuple, TypeVar

import msgspec

from briggs.gateway.calls import Gateway
from briggs.record.bodies import list_answers, read_asked
from briggs.types import json
from briggs.types.any_json import list_objects, members, text
from briggs.types.completions import Completion
from briggs.types.errors import BriggsError, UpstreamRejected
from briggs.types.keys import Key
from briggs.types.probabilities import Certainty, find_level, measure
from briggs.types.texts import printable, read_called
from briggs.types.tokens import Speller, list_tokens
from briggs.web.changes import describe, list_changes
from briggs.web.messages import Message, view_answer
from briggs.web.probabilities import list_levels
from briggs.web.request_editor import prepare

TAG = "playground"
TARGETS_MAX = 4
MODEL_CHARACTERS_MAX = 300
CHOICES_MAX = 8
STRIP_BARS = 120
ROUND_US = 5_000_000
"""Runs of the same request that begin within this time of each other are one round."""
COMPARED_BYTES_MAX = 256 * 1024
"""A larger request is not compared with others in the list of what was tried."""
_AHEAD_EVENTS_MAX = 64
_BURST_MS = 200.0
"""An answer that came in less time came at once, which says nothing about its speed."""
_FRAME_END = b"\n\n"

T = TypeVar("T")


class Shown(NamedTuple):
    """A run as its card shows it."""

    completion: Completion | None
    """None if the call was refused before it had a record that we know."""
    model: str
    status: str
    answers: Sequence[Message]
    more_choices: int
    figures: Certainty | None
    levels: Sequence[int]
    tokens_a_second: float | None
    note: str
    """Why there are no probabilities."""
    failure: str
    http_status: int | None
    code: str | None


class Round(NamedTuple):
    """The runs of one request on one or more targets."""

    runs: Sequence[Completion]
    what: str
    status: str


class Run:
    """One request on one target."""

    def __init__(
        self, gateway: Gateway, request: Mapping[str, Any], *, model: str, key: Key
    ) -> None:
        self._gateway = gateway
        self._request = request
        self._key = key
        self.model = model
        self.completion: Completion | None = None
        self.failure: BriggsError | None = None
        self.refuses_logprobs = False
        self._first: Completion | None = None
        """The call that was refused because it asks for logprobs."""

    async def events(self) -> AsyncGenerator[dict[str, Any], None]:
        """What happens, as the browser is told. Afterwards the call is on record.

        If logprobs are refused, it is asked again without them.
        """
        request = {**self._request, "model": self.model, "stream": True}
        async with aclosing(self._ask(request)) as events:
            async for event in events:
                yield event
        if self.failure is not None and _is_about_logprobs(self.failure, request):
            self.refuses_logprobs, self.failure = True, None
            self._first = self.completion
            plain = {name: request[name] for name in request if "logprobs" not in name}
            async with aclosing(self._ask(plain)) as events:
                async for event in events:
                    yield event

    def view(self) -> Shown:
        """The run as its card shows it."""
        if self.completion is None:
            assert self.failure is not None, "a call without a record was refused"
            return _view_refusal(self.model, self.failure)
        return view_run(self.completion, refuses_logprobs=self.refuses_logprobs)

    async def _ask(self, request: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        self.completion = None
        first = self._first
        try:
            call = await self._gateway.open_call(
                json.encode(request),
                organization_id=self._key.organization_id,
                key_id=self._key.id,
                key_limits=self._key.limits,
                tags=[TAG],
            )
            self.completion = call.completion
            if first is not None:
                call.completion.retry_of, call.completion.retry_count = first.id, 1
            yield {"is": "begun", "id": call.completion.id}
            teller = _Teller()
            async with aclosing(call.stream()) as pieces:
                async for piece in pieces:
                    for event in teller.tell(piece):
                        yield event
        except BriggsError as error:
            self.failure = error


async def relay(events: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """The same events, read in a task of its own.

    A web framework cancels whoever still waits for a browser that left, again and again. The
    call must be able to wait until its end is recorded.
    """
    queue: asyncio.Queue[T | Exception | None] = asyncio.Queue(_AHEAD_EVENTS_MAX)

    async def read() -> None:
        try:
            async with aclosing(events):
                async for event in events:
                    await queue.put(event)
            await queue.put(None)
        except Exception as error:  # it is raised where the events are read
            await queue.put(error)

    task = asyncio.create_task(read())
    _readers.add(task)
    task.add_done_callback(_readers.discard)
    try:
        while (event := await queue.get()) is not None:
            if isinstance(event, Exception):
                raise event
            yield event
    finally:
        task.cancel()


def view_run(completion: Completion, *, refuses_logprobs: bool = False) -> Shown:
    """A recorded run as its card shows it. This decodes the bodies, so a thread should do it."""
    answers = list_answers(completion)
    tokens = answers[0].tokens if answers else []
    first, total = completion.first_token_ms, completion.duration_ms
    written = completion.completion_tokens
    writing_ms = 0.0 if first is None or total is None else total - first
    return Shown(
        completion=completion,
        model=completion.model,
        status=completion.status,
        answers=[
            view_answer(each, place=place) for place, each in enumerate(answers[:CHOICES_MAX])
        ],
        more_choices=max(0, len(answers) - CHOICES_MAX),
        figures=measure(tokens),
        levels=list_levels(tokens, bars=STRIP_BARS),
        tokens_a_second=written / writing_ms * 1000 if written and writing_ms > _BURST_MS else None,
        note="" if tokens or not answers else _explain_no_logprobs(completion, refuses_logprobs),
        failure=completion.failure_reason or "",
        http_status=completion.http_status,
        code=completion.failure_kind,
    )


def list_rounds(runs: Iterable[Completion], *, before: Mapping[str, Any] | None) -> list[Round]:
    """Runs, the newest first, in rounds: each with what changed against `before`.

    Without `before`, a round says what changed since the round before it.
    """
    runs = list(runs)
    repeated = {run.retry_of for run in runs}
    groups: list[tuple[dict[str, Any] | None, list[Completion]]] = []
    for run in runs:
        if run.id in repeated:
            continue
        asked = _read_small(run)
        last = groups[-1] if groups else None
        if (
            last is not None
            and asked is not None
            and asked == last[0]
            and last[1][-1].created_at - run.created_at < ROUND_US
        ):
            last[1].append(run)
        else:
            groups.append((asked, [run]))
    rounds = []
    for place, (asked, group) in enumerate(groups):
        earlier = groups[place + 1][0] if place + 1 < len(groups) else None
        base = earlier if before is None else before
        what = describe(list_changes(base, asked)) if base and asked else ""
        states = {run.status for run in group}
        rounds.append(
            Round(
                runs=group[::-1],
                what="" if before is None and what == "as recorded" else what,
                status=next(each for each in ("started", "failed", "finished") if each in states),
            )
        )
    return rounds


class _Teller:
    """Turns the frames of a stream into events."""

    def __init__(self) -> None:
        self._rest = b""
        self._spellers: dict[int, Speller] = {}

    def tell(self, piece: bytes) -> Iterator[dict[str, Any]]:
        *frames, self._rest = (self._rest + piece).split(_FRAME_END)
        for frame in frames:
            data = frame.removeprefix(b"data: ")
            if data != b"[DONE]":
                yield from self._tell(members(json.decode(data)))

    def _tell(self, chunk: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for choice in list_objects(chunk.get("choices")):
            index, delta = choice.get("index", 0), members(choice.get("delta"))
            if reasoning := text(delta.get("reasoning_content")) or text(delta.get("reasoning")):
                yield {"is": "reasoning", "choice": index, "text": printable(reasoning)}
            if tokens := list_tokens(choice):
                speller = self._spellers.setdefault(index, Speller())
                pieces = [
                    (printable(piece.text), find_level(piece.logprob))
                    for piece in speller.spell(tokens)
                ]
                yield {"is": "text", "choice": index, "pieces": pieces, "tokens": len(tokens)}
            elif said := text(delta.get("content")) or text(delta.get("refusal")):
                yield {"is": "text", "choice": index, "pieces": [(printable(said), None)]}
            for call in list_objects(delta.get("tool_calls")):
                called = read_called(call)
                name, given = text(called.get("name")), called.get("arguments") or ""
                said = f"\n{name}(" if name else ""
                yield {"is": "call", "choice": index, "text": printable(f"{said}{given}")}


_readers: set[asyncio.Task[None]] = set()


def _is_about_logprobs(error: BriggsError, request: Mapping[str, Any]) -> bool:
    """Whether a call was refused because it asks for logprobs."""
    status = error.upstream_status if isinstance(error, UpstreamRejected) else error.http_status
    return (
        bool(request.get("logprobs"))
        and 400 <= status < 500
        and "logprobs" in f"{error.param} {error.message}"
    )


def _view_refusal(model: str, error: BriggsError) -> Shown:
    return Shown(
        completion=None,
        model=model,
        status="failed",
        answers=[],
        more_choices=0,
        figures=None,
        levels=[],
        tokens_a_second=None,
        note="",
        failure=error.message,
        http_status=error.http_status,
        code=error.kind,
    )


def _explain_no_logprobs(completion: Completion, refuses_logprobs: bool) -> str:
    who = completion.provider or "The provider"
    if refuses_logprobs:
        return f"{who} refuses logprobs here, so it was asked again without them."
    if "logprobs" in completion.dropped:
        return f"{who} has no logprobs, so they were left out of the request."
    if read_asked(completion).get("logprobs"):
        return f"{who} sent no logprobs."
    return "This request asks for no logprobs."


def _read_small(run: Completion) -> dict[str, Any] | None:
    """The request of a run, but for who was asked. None if it is too large to compare."""
    if len(run.request) > COMPARED_BYTES_MAX:
        return None
    try:
        return prepare(read_asked(run))
    except (msgspec.DecodeError, RecursionError):
        return None
