"""The record: one `Completion` for every call, from its start."""

from __future__ import annotations

import os
import random
import time
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

Status = Literal["started", "finished", "failed"]
CallKind = Literal["chat", "completion", "response", "message", "embedding", "moderation"]
"""What a call asks for: the nouns of the APIs that Briggs answers."""
TEXTLESS: frozenset[CallKind] = frozenset({"embedding", "moderation"})
"""The kinds of calls whose answers have no text, so that nobody grades them."""
SESSION, TAGS = "briggs_session", "briggs_tags"
LABELS = frozenset({SESSION, TAGS})
"""The members of a request's metadata with the session and the tags, for clients that cannot set a
header."""
ID_PREFIX = "chatcmpl-"
"""Put before Briggs's id in an answer whose upstream gave no id."""

CHECK_TAG = "briggs-check"
"""The tag of the calls that `briggs check` makes."""
JUDGE_TAG = "judge"
"""The tag of the calls that judges make. No judge grades them."""
DRIFT_TAG = "drift"
"""The tag of the calls that watch for drift."""
OWN_TAGS = frozenset({CHECK_TAG, DRIFT_TAG, JUDGE_TAG})
"""The tags of Briggs's own calls. They await no task unless it selects their tag."""

# A system call for each id would release the interpreter lock to the busy writer thread.
_random = random.Random()  # noqa: S311
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_random.seed)


def create_id() -> str:
    """A new completion id: a UUID of version 7 (RFC 9562), so that ids sort by time.

    The twelve bits after the version are the fraction of the millisecond, in units of 1/4096
    (the RFC's method 3). So calls within one millisecond sort by time too.
    """
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    clock = milliseconds << 16 | 0x7000 | (rest << 12) // 1_000_000
    digits = f"{clock << 64 | 1 << 63 | _random.getrandbits(62):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def create_first_id(at_us: int) -> str:
    """What sorts before the ids that are made from a time on, and after those made before."""
    digits = f"{at_us // 1000:012x}"
    return f"{digits[:8]}-{digits[8:]}"


def current_time_us() -> int:
    """The Unix time in microseconds, the unit of every `created_at` in the record."""
    return time.time_ns() // 1_000


class Attempt(msgspec.Struct, kw_only=True):
    """One target that a call was sent to, or that could not express the call."""

    target: str
    """`provider/model`, with the provider's name for the model."""
    status: int | None = None
    """The upstream's HTTP status. None if there was no answer."""
    duration_ms: float
    """The time until the whole answer, the first chunk of a stream, or the failure."""
    reason: str | None = None
    """The `code` of the error. None for the target that answered."""
    mended: list[str] | UnsetType = UNSET
    """The changes to the request that this target's vendor required."""


class Fix(msgspec.Struct, frozen=True):
    """A change to an upstream's answer, so that it follows the specification."""

    rule: str
    """The id of the rule that the answer broke."""
    path: str
    """The place of the change, such as `choices[0].message.refusal`."""


class Completion(msgspec.Struct, kw_only=True):
    """One call: its request, its answer, and everything that is known about it.

    `status` changes once, from `started` to `finished` or `failed`. The bytes are kept
    unchanged. The other members are derived from them, and can be derived again.
    """

    id: str = msgspec.field(default_factory=create_id)
    """Briggs's id. The upstream's id is `response_id`, and need not be unique."""
    organization_id: str
    created_at: int = msgspec.field(default_factory=current_time_us)
    """Unix time in microseconds."""
    status: Status = "started"
    kind: CallKind = "chat"
    """The format of the request: a chat completion's, a text completion's, a response's, ..."""
    source: Literal["gateway", "client"] = "gateway"
    """`gateway` if Briggs answered. `client` if a client logged an answer from elsewhere."""
    stream: bool = False

    provider: str | None = None
    """The provider that answered, or the last one that was tried."""
    model: str = ""
    """The model as the caller named it: `provider/model`, or a name from `briggs.toml`."""
    response_model: str | None = None
    """The model as the answer names it."""
    response_id: str | None = None
    system_fingerprint: str | None = None
    seed: int | None = None
    user: str | None = None
    """The end user: the request's `safety_identifier`, or its older `user`."""
    session_id: str | None = None
    tags: list[str] = []
    metadata: dict[str, str] = {}

    finish_reasons: list[str] = []
    """One for each choice, in the order of their indices."""
    violates: list[str] = []
    """The ids of the rules that the upstream's answer breaks, sorted."""
    fixes: list[Fix] = []
    """The changes to the upstream's answer on its way to the caller."""
    dropped: list[str] = []
    """Parameters of the request that were left out, because the provider has no equivalent."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    usage_source: Literal["provider", "estimated"] | None = None
    """`provider` if the provider counted the tokens. `estimated` if Briggs estimated at least
    some of them, for an answer that was cut short. None if there are no counts."""
    cost_usd: float | None = None
    """US dollars. None, not 0, if the price is not known."""
    price_source: str | None = None
    """The source of the price: `genai-prices 0.0.61` (with its version) or `briggs.toml`.
    `provider` if the provider itself reported the cost."""

    duration_ms: float | None = None
    first_token_ms: float | None = None
    """From the arrival of the request to the first chunk with output."""
    caller_left_ms: float | None = None
    """From the arrival of the request until the caller left before the end of the answer. None
    if the caller stayed. If `status` is `finished`, the recorded answer is complete anyway."""
    p_mean: float | None = None
    """The geometric mean of the probabilities of the answer's tokens, in all choices: e to the
    power of their mean logprob. Its inverse is the perplexity. None without logprobs."""
    p_least: float | None = None
    """The probability of the least likely token of the answer."""
    key_id: str | None = None
    """The key of the caller, or of the client that logged the call."""
    attempts: list[Attempt] = []
    """The targets that were tried for this call, in order."""
    retry_count: int = 0
    """The number of the caller's retry, from its SDK (`x-stainless-retry-count`)."""
    retry_of: str | None = None
    """The id of the first try that this call repeats, if it is known."""
    http_status: int | None = None
    """The status of the answer to the caller."""
    failure_kind: str | None = None
    """The `code` of the error that the caller got, or `interrupted` or `hang_up`."""
    failure_reason: str | None = None
    call_site: dict[str, Any] = {}
    """The place of the call in the caller's program, from clients that log calls:
    `stacktrace`, `orig_module`, `orig_qualname`."""
    start_reported: bool = False
    """Whether its client has reported its start, which decides its request and tags."""
    bodies_deleted_at: int | None = None
    """Unix time in microseconds at which its bodies were deleted, as `[retention]` says."""
    redacted: dict[str, int] = {}
    """How many texts of each kind were redacted before it was recorded, as `[redaction]` says."""

    request: bytes = b""
    """The caller's body, byte for byte."""
    response: bytes | None = None
    """The `CreateChatCompletionResponse` that the caller got, byte for byte. For a stream, its
    chunks folded into one; if the stream failed, only the part that arrived."""
    received: bytes | None = None
    """What the upstream sent, byte for byte, if it differs from `response`: a stream's events,
    an answer before it was mended, or an error's body."""
