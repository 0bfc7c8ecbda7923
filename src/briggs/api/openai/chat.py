"""`POST /v1/chat/completions`: the route on the hot path."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from briggs.accounts.gate import Headers
from briggs.accounts.labels import check_metadata, split_tags
from briggs.accounts.scopes import require
from briggs.api.exchange import Exchange
from briggs.gateway.complete import complete
from briggs.gateway.models import resolve
from briggs.gateway.stream import stream
from briggs.parts import Parts, Running
from briggs.record.record import Call
from briggs.record.repeats import Retries
from briggs.record.tell import adopt
from briggs.transport.callers.cycle import Cycle
from briggs.types.completions import Completion
from briggs.types.envelope import LARGE_BYTES, Envelope, open_envelope
from briggs.types.errors import (
    BriggsError,
    MethodNotAllowed,
    Overloaded,
)
from briggs.types.organizations import DEFAULT

logger = logging.getLogger("briggs")

# Calls without a key are recorded too. The limit keeps strangers from filling the disk.
_STRANGERS_RECORDED_A_MINUTE = 60


class Chat:
    """Answers the route, and counts the calls in flight."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._gate, self._record, self._drains = parts.gate, parts.record, parts.drains
        self._retries = Retries()
        self._strangers_recorded = 0
        self._minute_began = 0.0

    async def __call__(self, cycle: Cycle) -> None:
        # Until the key is known. A call without a valid key is recorded for the first organization.
        completion = Completion(organization_id=DEFAULT)
        exchange = Exchange(cycle, completion=completion)
        self._parts.in_flight += 1
        try:
            await self._answer(cycle, exchange, completion)
        except BriggsError as error:
            await self._refuse(exchange, completion, error)
            exchange.send_error(error)
        except asyncio.CancelledError:
            if not exchange.hung_up:
                raise
        except Exception:
            logger.exception("A call failed. This is a defect of Briggs")
            defect = BriggsError(
                f"Briggs failed on the call {completion.id}. The reason is in its log: please "
                "report it with that part of the log."
            )
            await self._refuse(exchange, completion, defect)
            exchange.send_error(defect)
        finally:
            self._parts.in_flight -= 1

    async def _answer(self, cycle: Cycle, exchange: Exchange, completion: Completion) -> None:
        headers: Headers = cycle.fields
        key = await self._gate.admit(headers)
        completion.organization_id = key.organization_id
        completion.key_id = key.id
        require(key, "answer")
        exchange.is_admitted = True
        _read_headers(headers, into=completion)
        if cycle.method != "POST":
            raise MethodNotAllowed(
                f"{cycle.method} is not allowed on /v1/chat/completions: POST a request, or GET "
                "the list of recorded completions.",
                headers={"allow": "GET, POST"},
            )
        # A call whose caller left does not count.
        running, in_flight = self._parts.running, self._parts.in_flight
        limit = running.limits.in_flight_max
        if in_flight > limit and in_flight - self._drains.in_flight > limit:
            raise Overloaded(
                f"The limit of {limit} calls in flight is reached: try again "
                "in a second, or raise limits.in_flight_max.",
                headers={"retry-after": "1", "connection": "close"},
            )
        completion.request = await exchange.read_body(bytes_max=running.limits.body_bytes_max)
        if completion.retry_count:
            self._retries.link(completion, key_id=key.id)
        try:
            await self._ask(exchange, completion, headers, running)
        finally:
            if completion.status != "finished" or exchange.hung_up:
                self._retries.remember(completion, key_id=key.id)

    async def _ask(
        self, exchange: Exchange, completion: Completion, headers: Headers, running: Running
    ) -> None:
        body = completion.request
        is_large = len(body) > LARGE_BYTES
        envelope = await asyncio.to_thread(open_envelope, body) if is_large else open_envelope(body)
        _read_envelope(envelope, into=completion)
        call = Call(envelope, completion, running.prices, patience=_read_patience(headers))
        if id := headers.get(b"x-log10-completion-id"):
            await adopt(call, id, store=self._record.store)
        # A reload may replace the routes during this call. The old ones stay open until it leaves.
        routes = running.routes
        route = resolve(envelope.model, routes=routes)
        exchange.watch(call, drains=self._drains, file=running.settings.file)
        routes.calls += 1
        try:
            if envelope.stream:
                await stream(call, route=route, record=self._record, caller=exchange)
                exchange.finish()
            else:
                exchange.send_json(await complete(call, route=route, record=self._record))
        finally:
            if exchange.hung_up:
                self._drains.release(call)
            routes.leave()

    async def _refuse(self, exchange: Exchange, completion: Completion, error: BriggsError) -> None:
        """Record a call that was refused before it reached the gateway."""
        if completion.status != "started":
            return
        if not exchange.is_admitted and not self._admit_stranger():
            return
        await self._record.refuse(completion, error)

    def _admit_stranger(self) -> bool:
        self._parts.strangers += 1
        now = time.monotonic()
        if now - self._minute_began > 60:
            self._minute_began, self._strangers_recorded = now, 0
        self._strangers_recorded += 1
        return self._strangers_recorded <= _STRANGERS_RECORDED_A_MINUTE


def _read_headers(headers: Headers, *, into: Completion) -> None:
    """Read what a caller says about a call in headers."""
    if session := headers.get(b"x-briggs-session"):
        into.session_id = _text(session)
    if tags := headers.get(b"x-briggs-tags"):
        into.tags = split_tags(_text(tags))
    retry_count = headers.get(b"x-stainless-retry-count", b"")
    if retry_count.isdigit() and len(retry_count) < 10:
        into.retry_count = int(retry_count)


def _read_patience(headers: Headers) -> bytes:
    """The timeout in seconds that OpenAI's Python or Node client sends."""
    return headers.get(b"x-stainless-read-timeout") or headers.get(b"x-stainless-timeout") or b""


def _read_envelope(envelope: Envelope, *, into: Completion) -> None:
    values: dict[str, Any] = envelope.values
    into.model = envelope.model
    into.stream = envelope.stream
    into.seed = values.get("seed")
    into.user = values.get("safety_identifier") or values.get("user")
    if metadata := values.get("metadata"):
        check_metadata(metadata)
        into.metadata = metadata
        # For clients that cannot set a header.
        into.session_id = into.session_id or metadata.get("briggs_session")
        into.tags = into.tags or split_tags(metadata.get("briggs_tags", ""))


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
