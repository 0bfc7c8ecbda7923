"""The routes that a model answers, such as `POST /v1/chat/completions`: the hot path."""

from __future__ import annotations

import asyncio
import re
import time
from functools import partial

from briggs.accounts.gate import Headers
from briggs.accounts.scopes import require
from briggs.api.exchange import Exchange
from briggs.gateway.calls import explain_failure
from briggs.parts import Parts
from briggs.record.labels import split_tags
from briggs.record.record import Call
from briggs.record.repeats import Retries
from briggs.record.responses import continue_call
from briggs.record.tell import adopt
from briggs.transport.callers.cycle import Cycle
from briggs.types.completions import Completion
from briggs.types.errors import MethodNotAllowed
from briggs.types.organizations import DEFAULT
from briggs.wires.base import Face
from briggs.wires.openai.face import CHAT_FACE
from briggs.wires.own_words import use_own_words

# Calls without a key are recorded too. The limit keeps strangers from filling the disk.
_STRANGERS_RECORDED_A_MINUTE = 60

# https://www.w3.org/TR/trace-context/#traceparent-header
_TRACE_PARENT = re.compile(rb"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-.{2,100}")


RETRIES = "retries"
"""The topic on which processes tell each other of calls that may be repeated."""


class FaceRoute:
    """Answers the calls of every face."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._retries = Retries()
        self._retries.tell = partial(parts.peers.tell, RETRIES)
        parts.peers.handle(RETRIES, self._retries.note)
        self._strangers_recorded = 0
        self._minute_began = 0.0

    async def __call__(self, cycle: Cycle, face: Face) -> None:
        # Until the key is known. A call without a valid key is recorded for the first organization.
        completion = Completion(organization_id=DEFAULT, kind=face.kind)
        exchange = Exchange(cycle, completion=completion, face=face)
        gateway = self._parts.gateway
        gateway.in_flight += 1
        try:
            await self._answer(cycle, face, exchange, completion)
        except asyncio.CancelledError:
            if not exchange.hung_up:
                raise
        except Exception as error:
            failure = explain_failure(error, completion=completion)
            use_own_words(failure, names=face.names, body=completion.request)
            if exchange.is_admitted or self._admit_stranger():
                await gateway.refuse(completion, failure)
            exchange.send_error(failure)
        finally:
            gateway.in_flight -= 1

    async def _answer(
        self, cycle: Cycle, face: Face, exchange: Exchange, completion: Completion
    ) -> None:
        headers: Headers = cycle.fields
        key = await self._parts.gate.admit(headers)
        completion.organization_id = key.organization_id
        completion.key_id = key.id
        require(key, "answer")
        exchange.is_admitted = True
        _read_headers(headers, into=completion)
        if cycle.method != "POST":
            raise MethodNotAllowed(
                f"{cycle.method} is not allowed on {cycle.path.decode()}: POST a request.",
                headers={"allow": "GET, POST" if face is CHAT_FACE else "POST"},
            )
        gateway = self._parts.gateway
        gateway.require_room()
        bytes_max = gateway.running.limits.body_bytes_max
        completion.request = await exchange.read_body(bytes_max=bytes_max)
        if completion.retry_count:
            self._retries.link(completion, key_id=key.id)
        try:
            call = await gateway.open(
                completion, face=face, key_limits=key.limits, patience=_read_patience(headers)
            )
            if face.kind == "response":
                store = self._parts.store
                await continue_call(
                    call, key=key, store=store, archive=self._parts.lake, bytes_max=bytes_max
                )
            if face.passed_headers:
                _pass_headers(headers, call, face)
            if id := headers.get(b"x-log10-completion-id"):
                await adopt(call, id, store=self._parts.store)
            await gateway.answer(call, caller=exchange)
        finally:
            if completion.status != "finished" or exchange.hung_up:
                self._retries.remember(completion, key_id=key.id)

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
    if traced := _TRACE_PARENT.fullmatch(headers.get(b"traceparent", b"")):
        into.call_site = {"trace_id": traced[1].decode(), "parent_span_id": traced[2].decode()}
    retry_count = headers.get(b"x-stainless-retry-count", b"")
    if retry_count.isdigit() and len(retry_count) < 10:
        into.retry_count = int(retry_count)


def _pass_headers(headers: Headers, call: Call, face: Face) -> None:
    """Keep the headers for a vendor who speaks the caller's format."""
    original = call.envelope.original
    assert original is not None, "only a request in another format has headers to pass"
    passed = {
        name: headers[name.encode()].decode("latin-1")
        for name in face.passed_headers
        if name.encode() in headers
    }
    call.envelope.original = original._replace(headers=passed)


def _read_patience(headers: Headers) -> bytes:
    """The timeout in seconds that OpenAI's Python or Node client sends."""
    return headers.get(b"x-stainless-read-timeout") or headers.get(b"x-stainless-timeout") or b""


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
