"""What `briggs.toml` may say: a class for each table, a member for each line."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Durability = Literal["strict", "fsync", "relaxed"]
# A petabyte, and far more than a machine can do at once, so that nothing overflows.
Bytes = Annotated[int, Meta(gt=0, le=2**50)]
Positive = Annotated[int, Meta(gt=0, le=1_000_000_000)]
Attempts = Annotated[int, Meta(gt=0, le=100)]
Parallel = Annotated[int, Meta(gt=0, le=1024)]
# No timer runs longer than a week, and TOML has numbers such as `inf`.
Seconds = Annotated[float, Meta(gt=0, le=604_800)]
Dollars = Annotated[float, Meta(ge=0, lt=1_000_000)]


class ProviderSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[providers.NAME]`: somebody who answers, under a name of your own."""

    kind: str = "openai"
    """A name of the catalog; `openai` for any server that speaks its wire."""
    base_url: str | None = None
    """Where it answers, up to and including `/v1`. Absent: where the catalog says."""
    key_variable: str | None = None
    """The environment variable that holds its key. Absent: the catalog's, or with a
    `base_url` of your own, no key is sent."""
    api_version: str | None = None
    """Of Azure, for `azure`'s addresses that name a deployment, such as `2025-04-01-preview`."""
    region: str | None = None
    """Of AWS, for `bedrock`. Absent: `AWS_REGION`."""
    drop_unsupported: bool = False
    """Whether parameters that its wire has no word for are left out, and named in the answer's
    `x-briggs-dropped`, instead of refused."""


class TargetSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One of a name's targets, where more is to be said of it than what it is."""

    target: str
    """`provider/model`, or another name of the file."""
    weight: Annotated[float, Meta(gt=0, le=1e9)] = 1
    """Its share of the calls, beside those of the other targets."""


class ModelSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[models.NAME]`: a name that callers may ask for."""

    targets: Annotated[list[str | TargetSettings], Meta(min_length=1)]
    """`provider/model`, or another name of the file, asked until one answers."""
    strategy: Literal["order", "weight"] = "order"
    """Whether the first target is asked first, or each as often as its weight says."""
    sticky: Literal["session"] | None = None
    """Whether the calls of one session go to one target as long as that answers."""
    fallback_on: list[Literal["context_length", "content_filter"]] = []
    """What of a request's own the next target is asked about, too."""
    attempts_max: Attempts | None = None
    """Absent: as in `[retries]`; and so on, as in `[limits]`, for what follows."""
    connect_timeout_s: Seconds | None = None
    first_token_timeout_s: Seconds | None = None
    upstream_timeout_s: Seconds | None = None
    call_timeout_s: Seconds | None = None


class RetrySettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[retries]`: when a target is asked again that failed."""

    attempts_max: Attempts = 1
    """At one target. The usual SDKs try three times by themselves, and ours multiply with
    theirs, so that without a word there is one."""
    backoff_s: Seconds = 0.5
    """Before the second attempt at a target; twice as long before each further one."""
    backoff_max_s: Seconds = 8
    retry_after_max_s: Annotated[float, Meta(ge=0, le=604_800)] = 10
    """How long an upstream's `Retry-After` is waited for; past it the next target is asked, or
    the caller told."""


class CoolDownSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[cool_down]`: when a target is passed over that failed."""

    failures: Positive = 3
    """In a row."""
    duration_s: Seconds = 30


class PriceSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[prices."PROVIDER/MODEL"]`: US dollars a million tokens, for a model of your own or a
    contract of your own."""

    input: Dollars
    output: Dollars
    cached_input: Dollars | None = None
    """Of the input, what was read from the provider's cache; absent, it costs what other input
    costs, and so on."""
    cache_write: Dollars | None = None
    cache_write_1h: Dollars | None = None
    """For an hour; absent, as `cache_write`."""
    reasoning: Dollars | None = None
    audio_input: Dollars | None = None
    """Absent: a call with audio has no cost."""
    audio_output: Dollars | None = None


class LimitSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[limits]`: how much of everything at most."""

    body_bytes_max: Bytes = 32 * 1024 * 1024
    answer_bytes_max: Bytes = 64 * 1024 * 1024
    """Of an upstream's answer, or of a whole stream with its comments, after decompression."""
    in_flight_max: Positive = 1000
    header_timeout_s: Seconds = 15
    """For a connection to send a request's headers."""
    body_timeout_s: Seconds = 60
    """For a part of a request's body: 240 bytes for each of these seconds, or what is left."""
    keep_alive_timeout_s: Seconds = 75
    """For an idle connection to send the next request."""
    shutdown_timeout_s: Seconds = 60
    """For the answers in flight when Briggs is asked to stop."""
    connect_timeout_s: Seconds = 10
    """For a connection to an upstream."""
    upstream_timeout_s: Seconds = 600
    """Between two pieces of an upstream's answer, the first included."""
    first_token_timeout_s: Seconds | None = None
    """For a whole answer, or the first chunk of a stream. Absent: as long as pieces come."""
    call_timeout_s: Seconds | None = None
    """For all attempts of a call together, to the end of its answer. Absent: no limit."""
    write_timeout_s: Seconds = 60
    """For a caller who has stopped reading an answer; then the connection is closed."""
    usage_timeout_s: Seconds = 5
    """For the usage of a stream whose caller left after every choice had finished."""
    drain_timeout_s: Seconds = 60
    """For the rest of an answer whose caller left earlier, with `on_hang_up = "drain"`."""
    drain_tokens_max: Positive = 4096
    """Of such a rest, about: a token counts as 4 bytes of text."""
    drains_max: Positive = 100
    """Answers that are read on at once without a caller. Past it the upstream is cancelled."""
    queue_bytes_max: Bytes = 256 * 1024 * 1024
    """Of records that wait to be written; past it callers wait."""
    wal_bytes_max: Bytes = 64 * 1024 * 1024
    """Of SQLite's write-ahead log; past it callers wait for a checkpoint."""


class LocalModelSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[local.models.NAME]`: a GGUF file, where more is to be said of it than where it is."""

    path: str
    chat_template: str | None = None
    """How its prompts are written, in Jinja. Absent: as the file says."""
    chat_template_file: str | None = None
    """A file that holds the same."""


class LocalSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[local]`: the GGUF files that the provider `local` runs on this machine."""

    models: dict[str, str | LocalModelSettings] = {}
    """A name for each file, besides the built-in `briggs-tiny`: its path, or a table."""
    memory_bytes_max: Bytes = 8 * 1024 * 1024 * 1024
    """Of one model's process; it is started anew when it has grown past this."""
    context_tokens: Positive | None = None
    """Of one conversation. Absent: as the model was made for."""
    parallel: Parallel = 4
    """Conversations that one model answers at once."""
    threads: Parallel | None = None
    """Absent: one a processor."""


class FileSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What `briggs.toml` may say."""

    store: str = "sqlite"
    durability: Durability = "strict"
    on_store_failure: Literal["refuse", "answer"] = "refuse"
    """Whether calls are refused with 503 while the record cannot be written, or answered
    without a record and counted."""
    on_hang_up: Literal["cancel", "drain"] = "cancel"
    """What happens to a call whose caller leaves before its answer is complete: the upstream is
    cancelled, or its answer is read to the end and recorded, within `[limits]`."""
    default_provider: str | None = None
    """Who answers a bare model name; absent: the only provider there is."""
    hosts: list[str] = []
    """Host names, besides localhost and bare addresses, by which Briggs may be called."""
    origins: list[str] = []
    """Origins, besides Briggs's own, whose pages may call it, such as `https://app.example`."""
    providers: dict[str, ProviderSettings] = {}
    models: dict[str, ModelSettings] = {}
    retries: RetrySettings = msgspec.field(default_factory=RetrySettings)
    cool_down: CoolDownSettings = msgspec.field(default_factory=CoolDownSettings)
    prices: dict[str, PriceSettings] = {}
    limits: LimitSettings = msgspec.field(default_factory=LimitSettings)
    local: LocalSettings = msgspec.field(default_factory=LocalSettings)
