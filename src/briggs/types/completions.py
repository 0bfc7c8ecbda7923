"""The record: one `Completion` for every call, from the moment that it starts."""

from __future__ import annotations

import os
import random
import time
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

Status = Literal["started", "finished", "failed"]
ID_PREFIX = "chatcmpl-"
"""Stands before our id in an answer whose upstream gave it none."""

# To ask the system for each id would let go of the interpreter, which a busy writer then takes.
_random = random.Random()  # noqa: S311
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_random.seed)


def create_id() -> str:
    """A new completion id: a UUID of version 7 (RFC 9562), so that ids sort by time.

    The twelve bits after the version count the 4,096th parts of the millisecond (the RFC's
    method 3): calls that follow each other are sorted too.
    """
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    clock = milliseconds << 16 | 0x7000 | (rest << 12) // 1_000_000
    digits = f"{clock << 64 | 1 << 63 | _random.getrandbits(62):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def current_time_us() -> int:
    """The Unix time in microseconds, the unit of every `created_at` in the record."""
    return time.time_ns() // 1_000


class Attempt(msgspec.Struct, kw_only=True):
    """One target that was asked for a call, or found unable to be asked it."""

    target: str
    """`provider/model`, as the provider calls the model."""
    status: int | None = None
    """The upstream's HTTP status; None where none came."""
    duration_ms: float
    """Until the whole answer, the first chunk of a stream, or the failure."""
    reason: str | None = None
    """The `code` of the error that it ended with; None for the one that answered."""
    mended: list[str] | UnsetType = UNSET
    """What was changed of the request because this target's vendor would refuse it."""


class Fix(msgspec.Struct, frozen=True):
    """Something of an upstream's answer that was brought to the specification."""

    rule: str
    """The id of the rule that it broke."""
    path: str
    """Where, such as `choices[0].message.refusal`."""


class Completion(msgspec.Struct, kw_only=True):
    """One call: what was asked, what was answered, and everything that is known of it.

    `status` goes from `started` to `finished` or `failed` once and never back. The bytes
    are kept as they came; the other members are read from them and can be read again.
    """

    id: str = msgspec.field(default_factory=create_id)
    """Our own id. The upstream's is `response_id` and need not be unique."""
    organization_id: str = "default"
    created_at: int = msgspec.field(default_factory=current_time_us)
    """Unix time in microseconds."""
    status: Status = "started"
    kind: Literal["chat", "completion"] = "chat"
    """`completion` is a completion of a plain prompt; only clients that log calls bring those."""
    source: Literal["gateway", "client"] = "gateway"
    """Whether Briggs answered it, or a client that got its answer elsewhere told of it."""
    stream: bool = False

    provider: str | None = None
    """The name of the provider that answered, or was asked last."""
    model: str = ""
    """The model as the caller named it, `provider/model` or a name from the file."""
    response_model: str | None = None
    """The model as the answer names it."""
    response_id: str | None = None
    system_fingerprint: str | None = None
    seed: int | None = None
    user: str | None = None
    """The end user: `safety_identifier`, or the older `user`, of the request."""
    session_id: str | None = None
    tags: list[str] = []
    metadata: dict[str, str] = {}

    finish_reasons: list[str] = []
    """One a choice, in the order of their indices."""
    violates: list[str] = []
    """The ids of the rules that what the upstream sent breaks, sorted."""
    fixes: list[Fix] = []
    """What of it was mended on its way to the caller."""
    dropped: list[str] = []
    """Parameters of the request that the provider cannot express and that were left out."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    usage_source: Literal["provider", "estimated"] | None = None
    """Who counted the tokens: the provider; or Briggs estimated them, at least in part, for an
    answer that was cut short. None where nobody did."""
    cost_usd: float | None = None
    """US dollars; None where the price is not known, never 0 for that."""
    price_source: str | None = None
    """Whose price that is, with its version: `genai-prices 0.0.61`, or `briggs.toml`; `provider`
    where the provider itself said what the call cost."""

    duration_ms: float | None = None
    first_token_ms: float | None = None
    """From the arrival of the request to the first chunk that carries output."""
    caller_left_ms: float | None = None
    """From the arrival of the request until the caller left without the end of the answer; None
    for one who stayed. A `finished` call of such a caller has a complete answer all the same."""
    attempts: list[Attempt] = []
    """Who was asked for this one call, in their order."""
    retry_count: int = 0
    """What the caller's SDK says of its own retries (`x-stainless-retry-count`)."""
    retry_of: str | None = None
    """The id of the first try that this call repeats, where that is known."""
    http_status: int | None = None
    """The status that the caller was answered with."""
    failure_kind: str | None = None
    """The `code` of the error that the caller got, or `interrupted` or `hang_up`."""
    failure_reason: str | None = None
    call_site: dict[str, Any] = {}
    """Where in the caller's program it was made, as clients that log calls say: `stacktrace`,
    `orig_module`, `orig_qualname`."""

    request: bytes = b""
    """The caller's body, byte for byte."""
    response: bytes | None = None
    """The `CreateChatCompletionResponse` that the caller got, byte for byte; of a stream,
    what its chunks fold to; of a stream that failed, as much of it as arrived."""
    received: bytes | None = None
    """What the upstream sent, byte for byte, where that is not `response`: a stream's
    events, an answer before it was brought to the specification, an error's body."""
