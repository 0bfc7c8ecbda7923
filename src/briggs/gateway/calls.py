"""Every call goes through here: over HTTP, or opened by a part of Briggs itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial

import msgspec

from briggs.gateway.book import Book
from briggs.gateway.callers import Caller, Listener
from briggs.gateway.complete import complete
from briggs.gateway.drains import Drains
from briggs.gateway.forward import forward
from briggs.gateway.ledger import Ledger, Reservation
from briggs.gateway.models import resolve
from briggs.gateway.running import Running
from briggs.gateway.stream import stream
from briggs.providers.base import Target
from briggs.record.labels import check_metadata, split_tags
from briggs.record.record import Call, Record
from briggs.types.completions import SESSION, TAGS, Completion
from briggs.types.envelope import LARGE_BYTES, Envelope
from briggs.types.errors import BriggsError, HangUp, LimitReached, Overloaded, RequestTooLarge
from briggs.types.limits import Limits
from briggs.types.peers import Alone, Peers
from briggs.wires.base import Face
from briggs.wires.forwarded import ForwardedFace
from briggs.wires.openai.face import CHAT_FACE

logger = logging.getLogger("briggs")


COOLING = "cooling"
"""The topic on which processes tell each other which targets fail."""


class _Seen(msgspec.Struct, frozen=True, array_like=True):
    """What a target did."""

    provider: str
    model: str
    failed: bool
    retry_after_s: float | None


class Gateway:
    """Answers calls, and counts those in flight. A reload replaces `running`."""

    def __init__(
        self,
        running: Running,
        *,
        record: Record,
        peers: Peers | None = None,
        book: Book | None = None,
    ) -> None:
        self._peers = peers or Alone()
        self._peers.handle(COOLING, self._note_seen)
        self.use(running)
        self.record = record
        self.ledger = Ledger(record.store, book=book)
        self.drains = Drains()
        self.in_flight = 0
        """Calls being answered. The one who counts is the one who starts a call."""
        self._tasks: set[asyncio.Task[None]] = set()

    def use(self, running: Running) -> None:
        """Answer by these settings from the next call on."""
        self.running = running
        running.models.cooling.tell = self._tell_seen

    def _tell_seen(self, target: object, failed: bool, retry_after_s: float | None) -> None:
        """Tell the other processes what a target did, so that they skip it too."""
        if isinstance(target, Target):
            seen = _Seen(target.provider.name, target.model, failed, retry_after_s)
            self._peers.tell(COOLING, msgspec.msgpack.encode(seen))

    def _note_seen(self, message: bytes) -> bytes:
        """Note what another process has seen of a target. It may know other providers."""
        seen, models = msgspec.msgpack.decode(message, type=_Seen), self.running.models
        if (provider := models.providers.get(seen.provider)) is not None:
            models.cooling.note(
                Target(provider, seen.model), failed=seen.failed, retry_after_s=seen.retry_after_s
            )
        return b""

    async def open_call(
        self,
        body: bytes,
        *,
        organization_id: str,
        key_id: str | None = None,
        key_limits: Limits | None = None,
        tags: Sequence[str] = (),
        session_id: str | None = None,
    ) -> OpenCall:
        """Open a call without HTTP, for pages, evals and judges.

        It is limited and recorded like any other call. `body` is a `CreateChatCompletionRequest`.
        Raises `BriggsError` for a call that is refused, which is recorded too.
        """
        completion = Completion(
            organization_id=organization_id,
            key_id=key_id,
            request=body,
            tags=list(tags),
            session_id=session_id,
        )
        try:
            self.require_room(len(body))
            call = await self.open(completion, face=CHAT_FACE, key_limits=key_limits)
            return OpenCall(self, call)
        except BriggsError as error:
            await self.refuse(completion, error)
            raise

    def require_room(self, body_bytes: int = 0) -> None:
        """Refuse a call beyond the limits. Raises `Overloaded`, `RequestTooLarge`."""
        limits = self.running.limits
        limit = limits.in_flight_max
        # A call whose caller left does not count.
        if self.in_flight > limit and self.in_flight - self.drains.in_flight > limit:
            raise Overloaded(
                f"The limit of {limit} calls in flight is reached: try again "
                "in a second, or raise limits.in_flight_max.",
                headers={"retry-after": "1", "connection": "close"},
            )
        if body_bytes > limits.body_bytes_max:
            raise too_large(limits.body_bytes_max)

    async def open(
        self,
        completion: Completion,
        *,
        face: Face,
        key_limits: Limits | None = None,
        patience: bytes = b"",
    ) -> Call:
        """Read the request of a completion. Raises `InvalidRequest`."""
        body, read = completion.request, face.read_request
        envelope = await asyncio.to_thread(read, body) if len(body) > LARGE_BYTES else read(body)
        _read_envelope(envelope, into=completion)
        return Call(
            envelope,
            completion,
            self.running.prices,
            face,
            key_limits=key_limits,
            patience=patience,
        )

    async def answer(self, call: Call, *, caller: Caller) -> None:
        """Answer an opened call, and record it.

        Raises `BriggsError` if nothing was sent. It is recorded, unless no target was found.
        """
        # A reload may replace `running` during this call. The old one stays open until it leaves.
        running = self.running
        call.prices, models = running.prices, running.models
        targets = resolve(call.envelope.model, models=models)
        caller.watch(partial(self.drains.take, call, file=running.settings.file))
        models.calls += 1
        reservation: Reservation | None = None
        try:
            if running.rules.exist or call.key_limits is not None:
                reservation = await self.ledger.reserve(
                    call, targets=targets, prices=call.prices, rules=running.rules
                )
                if reservation is not None:
                    caller.headers = reservation.headers
            if isinstance(call.face, ForwardedFace):
                body = await forward(
                    call,
                    targets=targets,
                    record=self.record,
                    keeps_all=running.settings.file.record_vectors,
                )
                caller.answer(body)
            elif call.envelope.stream:
                await stream(call, targets=targets, record=self.record, caller=caller)
                caller.finish()
            else:
                caller.answer(await complete(call, targets=targets, record=self.record))
        finally:
            if reservation is not None:
                reservation.settle(call.completion)
            if call.completion.caller_left_ms is not None:
                self.drains.release(call)
            models.leave()

    async def refuse(self, completion: Completion, error: BriggsError) -> None:
        """Record a call that ended before any target was tried."""
        if isinstance(error, LimitReached) and not self.ledger.is_recorded(completion):
            return
        if completion.status == "started":
            await self.record.refuse(completion, error)

    def start(self, call: Call, *, caller: Listener) -> asyncio.Task[None]:
        """Answer a call in a task of its own, since it may outlive whoever reads the answer."""
        task = asyncio.get_running_loop().create_task(self._answer(call, caller))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """End the calls whose readers have left. Each of them is recorded."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self.running.limits.usage_timeout_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _answer(self, call: Call, caller: Listener) -> None:
        self.in_flight += 1
        try:
            await self.answer(call, caller=caller)
        except Exception as error:
            failure = explain_failure(error, completion=call.completion)
            await self.refuse(call.completion, failure)
            caller.error = failure
        finally:
            self.in_flight -= 1
            caller.finish()


class OpenCall:
    """A call that a part of Briggs makes. Its answer can be read once.

    Whoever stops reading early has hung up: that is recorded, and `on_hang_up` decides whether
    the upstream is cancelled.
    """

    def __init__(self, gateway: Gateway, call: Call) -> None:
        self._gateway = gateway
        self._call = call
        self.completion = call.completion
        """The record of this call. Its `id` is known from the start."""

    async def complete(self) -> bytes:
        """The whole answer: a `CreateChatCompletionResponse`. Raises `BriggsError`."""
        assert not self._call.envelope.stream, "a call that streams is read with `stream`"
        async with aclosing(self.stream()) as pieces:
            return b"".join([piece async for piece in pieces])

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """The frames of a stream as `/v1/chat/completions` sends them, up to `[DONE]`.

        Raises `BriggsError` before the first frame. A later failure is a frame with an error.
        Close it if you stop reading early.
        """
        listener = Listener()
        task = self._gateway.start(self._call, caller=listener)
        try:
            while (piece := await listener.take()) is not None:
                yield piece
        finally:
            await listener.leave(task)
            if task.done():
                # A call that was left before its task ran has recorded nothing.
                await self._gateway.refuse(self.completion, HangUp())


def explain_failure(error: Exception, *, completion: Completion) -> BriggsError:
    """The error that a caller gets. A defect is logged with its traceback."""
    if isinstance(error, BriggsError):
        return error
    logger.error("A call failed. This is a defect of Briggs", exc_info=error)
    return BriggsError(
        f"Briggs failed on the call {completion.id}. The reason is in its log: please "
        "report it with that part of the log."
    )


def too_large(bytes_max: int) -> RequestTooLarge:
    """The error for a request body above the limit."""
    return RequestTooLarge(
        f"The request body is larger than {bytes_max} bytes: send less, or raise "
        "limits.body_bytes_max in briggs.toml.",
        headers={"connection": "close"},
    )


def _read_envelope(envelope: Envelope, *, into: Completion) -> None:
    values = envelope.values
    into.model = envelope.model
    into.stream = envelope.stream
    into.seed = values.get("seed")
    into.user = values.get("safety_identifier") or values.get("user")
    if metadata := values.get("metadata"):
        check_metadata(metadata)
        into.metadata = metadata
        # For clients that cannot set a header.
        into.session_id = into.session_id or metadata.get(SESSION)
        into.tags = into.tags or split_tags(metadata.get(TAGS, ""))
