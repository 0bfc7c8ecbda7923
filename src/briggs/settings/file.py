"""The schema of `briggs.toml`: a class for each table, a member for each line."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Pooling = Literal["mean", "cls", "last"]
Durability = Literal["strict", "fsync", "relaxed"]
# Upper bounds: a petabyte, and counts far above what a machine can do, so that nothing overflows.
Bytes = Annotated[int, Meta(gt=0, le=2**50)]
Positive = Annotated[int, Meta(gt=0, le=1_000_000_000)]
AttemptsMax = Annotated[int, Meta(gt=0, le=100)]
Parallel = Annotated[int, Meta(gt=0, le=1024)]
# Timers run for a week at most. TOML allows numbers such as `inf`.
Seconds = Annotated[float, Meta(gt=0, le=604_800)]
NodeTimeout = Annotated[float, Meta(ge=1, le=3600)]
Age = Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,6}(min|h|d|w)$")]
Dollars = Annotated[float, Meta(ge=0, lt=1_000_000)]
Quota = Annotated[int, Meta(gt=0, le=1_000_000_000_000)]
Budget = Annotated[float, Meta(ge=0, le=1_000_000_000)]


class ProviderSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[providers.NAME]`: a server that answers calls, under a name that you choose."""

    kind: str = "openai"
    """The provider's name in the catalog. `openai` fits any server that speaks OpenAI's API."""
    base_url: str | None = None
    """Its URL, up to and including `/v1`. Default: the URL in the catalog."""
    key_variable: str | None = None
    """The environment variable that holds its key. Default: the one in the catalog. If you set
    `base_url`, no key is sent by default."""
    api_version: str | None = None
    """Azure's API version, for URLs that name a deployment, such as `2025-04-01-preview`."""
    region: str | None = None
    """The AWS region, for `bedrock`. Default: `AWS_REGION`."""
    drop_unsupported: bool = False
    """Whether parameters that the provider's API does not have are left out instead of refused.
    The answer's `x-briggs-dropped` header names them."""
    responses: bool | None = None
    """Whether calls of `/v1/responses` go to its own `/responses` as they are. Default: `true` for
    OpenAI and for Azure without an `api_version`."""
    messages: bool | None = None
    """For `bedrock`: whether calls of `/v1/messages` go to its `InvokeModel` as they are. Default:
    `true` for models whose name has `anthropic.` in it."""


class TargetSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A target of a name, in the form of a table."""

    target: str
    """`provider/model`, or another name in the file."""
    weight: Annotated[float, Meta(gt=0, le=1e9)] = 1
    """Its share of the calls, relative to the other targets."""


class ModelSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[models.NAME]`: a model name that callers can use."""

    targets: Annotated[list[str | TargetSettings], Meta(min_length=1)]
    """`provider/model`, or another name in the file. They are tried until one answers."""
    strategy: Literal["order", "weight"] = "order"
    """`order` tries the targets in the order given. `weight` picks the first by its weight."""
    sticky: Literal["session"] | None = None
    """With `session`, the calls of one session use the same target as long as it answers."""
    fallback_on: list[Literal["context_length", "content_filter"]] = []
    """Errors of the request itself after which the next target is tried all the same."""
    attempts_max: AttemptsMax | None = None
    """Default: as in `[retries]`. The timeouts below default to those in `[limits]`."""
    connect_timeout_s: Seconds | None = None
    first_token_timeout_s: Seconds | None = None
    upstream_timeout_s: Seconds | None = None
    call_timeout_s: Seconds | None = None


class RetrySettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[retries]`: how often a failed target is tried again."""

    attempts_max: AttemptsMax = 1
    """Per target. The default is one, because most SDKs retry three times by themselves, and our
    retries multiply theirs."""
    backoff_s: Seconds = 0.5
    """The pause before the second attempt at a target. It doubles before each further attempt."""
    backoff_max_s: Seconds = 8
    retry_after_max_s: Annotated[float, Meta(ge=0, le=604_800)] = 10
    """The longest `Retry-After` of an upstream that we wait for. If it is longer, the next target
    is tried, or the caller gets the error."""


class CoolDownSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[cool_down]`: when a failing target is skipped."""

    failures: Positive = 3
    """Failures in a row."""
    duration_s: Seconds = 30


class PriceSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[prices."PROVIDER/MODEL"]`: US dollars per million tokens, for your own models or
    contracts."""

    input: Dollars
    output: Dollars
    cached_input: Dollars | None = None
    """Input tokens read from the provider's cache. Default: `input`, and so for `cache_write`.
    `reasoning` defaults to `output`."""
    cache_write: Dollars | None = None
    cache_write_1h: Dollars | None = None
    """Writes that the cache keeps for an hour. Default: `cache_write`."""
    reasoning: Dollars | None = None
    audio_input: Dollars | None = None
    """Default: none, and then a call with audio has no cost."""
    audio_output: Dollars | None = None


class AllowanceSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What one key, end user or organization may use. Default: no limit."""

    requests_per_minute: Quota | None = None
    tokens_per_minute: Quota | None = None
    """Of requests and answers together."""
    calls_in_flight: Quota | None = None
    dollars_per_day: Budget | None = None
    """A day and a month begin at midnight, UTC."""
    dollars_per_month: Budget | None = None


class OrganizationSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[organizations.SLUG]`: what one organization may use, where it differs from `[limits]`."""

    limits: AllowanceSettings | None = None
    """All of it together."""
    key_limits: AllowanceSettings | None = None
    """Each of its keys."""
    user_limits: AllowanceSettings | None = None
    """Each of its end users."""


class LimitSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[limits]`: sizes, counts and timeouts."""

    body_bytes_max: Bytes = 32 * 1024 * 1024
    answer_bytes_max: Bytes = 64 * 1024 * 1024
    """The size of an upstream's answer, or of a whole stream with its comments, decompressed."""
    in_flight_max: Positive = 1000
    header_timeout_s: Seconds = 15
    """The time for a connection to send a request's headers."""
    body_timeout_s: Seconds = 60
    """The time for a part of a request's body: 240 bytes per second of it, or what is left."""
    keep_alive_timeout_s: Seconds = 75
    """The time for an idle connection to send the next request."""
    shutdown_timeout_s: Seconds = 60
    """The time for the answers in flight to end when Briggs stops."""
    connect_timeout_s: Seconds = 10
    """The time to connect to an upstream."""
    upstream_timeout_s: Seconds = 600
    """The time between two pieces of an upstream's answer, and before the first one."""
    first_token_timeout_s: Seconds | None = None
    """The time for a whole answer, or a stream's first chunk. Default: no limit of its own."""
    call_timeout_s: Seconds | None = None
    """The time for all attempts of a call together, to the end of the answer. Default: no limit."""
    write_timeout_s: Seconds = 60
    """The time after which a caller who does not read the answer is disconnected."""
    usage_timeout_s: Seconds = 5
    """The time to wait for a stream's usage, if its caller left after every choice had finished."""
    drain_timeout_s: Seconds = 60
    """The time for the rest of an answer whose caller left earlier, if `on_hang_up = "drain"`."""
    drain_tokens_max: Positive = 4096
    """How much of that rest is read, roughly: a token counts as 4 bytes of text."""
    drains_max: Positive = 100
    """How many answers are read on at once after their callers left. The rest are cancelled."""
    queue_bytes_max: Bytes = 256 * 1024 * 1024
    """The size of the records that wait to be written. Beyond that, callers wait."""
    wal_bytes_max: Bytes = 64 * 1024 * 1024
    """The size of SQLite's write-ahead log. Beyond that, callers wait for a checkpoint."""
    spool_bytes_max: Bytes = 1024 * 1024 * 1024
    """The size of the records that wait for a PostgreSQL that is away."""
    node_timeout_s: NodeTimeout = 15
    """The time after which other nodes on the same PostgreSQL take a silent one for dead."""
    keys: AllowanceSettings | None = None
    """What each key may use, if neither the key nor its organization has limits of its own."""
    users: AllowanceSettings | None = None
    """What each end user may use. Requests name them as `safety_identifier` or `user`."""
    organizations: AllowanceSettings | None = None
    """What each organization may use."""
    answer_tokens_expected: Quota = 1000
    """What is reserved for an answer whose request does not limit it."""
    on_unknown_price: Literal["refuse", "answer"] = "refuse"
    """What happens to calls with a limit in dollars to a model without a price: refused, or
    answered as if they cost nothing."""


class RedactionSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[redaction]`: what is replaced by a mark before a call is recorded. Default: nothing."""

    detect: list[Literal["key", "email", "card", "phone", "iban"]] = []
    """What Briggs can find by itself."""
    patterns: dict[str, str] = {}
    """More to find: a name for each pattern, in RE2's syntax."""
    names: str | None = None
    """Find names of people too, with this pipeline of spaCy: its name, or its folder."""


class RetentionRuleSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[[retention.rules]]`: other times, for an organization, a tag, or both."""

    organization: str | None = None
    """Its id or its slug. Default: all organizations."""
    tag: str | None = None
    """Only completions with this tag."""
    bodies: Age | None = None
    metadata: Age | None = None


class RetentionSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[retention]`: how long the record is kept. If several times apply, the shortest counts."""

    bodies: Age | None = None
    """How long requests and answers are kept, such as `30d`. Default: until they are deleted."""
    metadata: Age | None = None
    """How long the rest is kept: times, tokens, cost, tags, feedback. Then all of it goes."""
    rules: list[RetentionRuleSettings] = []


class LakeSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[lake]`: the tables of Apache Iceberg that old completions go to."""

    warehouse: str
    """The place of the tables: a folder, which may be relative to the data folder, or
    `s3://BUCKET/PREFIX`."""
    after: Age = "30d"
    """How old a completion is when it goes there."""
    keep_record: bool = True
    """Whether the record keeps what is in the lake. Otherwise only what people graded stays."""
    endpoint: str | None = None
    """The address of a storage that speaks S3. Default: Amazon's."""
    region: str = "us-east-1"
    """The region of the bucket."""


class LocalModelSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[local.models.NAME]`: a GGUF file with options."""

    path: str
    chat_template: str | None = None
    """The chat template for its prompts, in Jinja. Default: the one in the GGUF file."""
    chat_template_file: str | None = None
    """A file that contains the chat template."""
    pooling: Pooling | None = None
    """How its tokens become one vector, for embeddings. Default: as the file says, or `mean`."""


class LocalSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[local]`: the GGUF files that the provider `local` runs on this machine."""

    models: dict[str, str | LocalModelSettings] = {}
    """A name for each file, in addition to the built-in `briggs-tiny`: its path, or a table."""
    memory_bytes_max: Bytes = 8 * 1024 * 1024 * 1024
    """The memory of one model's process. It is restarted when it grows beyond this."""
    stall_timeout_s: Seconds = 60
    """How long one model's process may make no progress at all. Then it is restarted."""
    context_tokens: Positive | None = None
    """The context of one conversation. Default: what the model was trained for."""
    parallel: Parallel = 4
    """How many conversations one model answers at once."""
    threads: Parallel | None = None
    """Default: one per processor."""


class OtelSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[otel]`: sends a span of every call to an OpenTelemetry collector."""

    endpoint: str
    """The collector's URL for OTLP over HTTP, without `/v1/traces`: `http://127.0.0.1:4318`."""
    headers_variable: str | None = None
    """The environment variable with headers for it: `name=value,name=value`."""
    messages: bool = False
    """Whether the spans hold what was asked and answered."""
    service_name: str = "briggs"


class AlertSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[[alerts]]`: a figure that is watched."""

    name: str
    measure: Literal["failure_rate", "cost_usd", "p95_s", "unrecorded", "drift"]
    """The share of calls that failed; dollars; the seconds that 95 % of the answers keep; calls
    that are not on record; how often the answers of a watched target changed."""
    above: Annotated[float, Meta(ge=0, le=1e9)]
    """It fires while the figure is above this."""
    window_s: Annotated[float, Meta(ge=60, le=2_678_400)] = 300
    """Over how long it is measured."""
    calls_min: Positive = 10
    """With fewer calls in the window, a share or a time tells nothing."""
    model: str | None = None
    """As callers name it. Default: all."""
    tag: str | None = None
    organization: str = "default"
    """Whose calls, by its slug."""
    webhooks: list[str] = []
    """The names of the webhooks that are told when it fires and when it is resolved."""
    emails: list[str] = []
    """The addresses that are told."""


class DriftSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[[drift]]`: a target that is watched for changes of its answers."""

    target: str
    """The model, as callers name it."""
    source: Literal["probes", "traffic"] = "probes"
    """Whether it is asked 20 probes, or its calls are looked at whose requests repeat."""
    every_s: Annotated[float, Meta(ge=60, le=604_800)] = 600
    """How often it is asked or looked at."""
    window: Annotated[int, Meta(ge=8, le=200)] = 24
    """How many rounds are compared with as many earlier ones."""
    organization: str = "default"
    """Who asks, by its slug."""


class WebhookSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[webhooks.NAME]`: an address that gets signed messages."""

    url: str
    secret_variable: str
    """The environment variable with the secret of its signatures, which begins with `whsec_`."""
    allow_private: bool = False
    """Whether it may be on this machine or in a private network."""


class SmtpSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[smtp]`: the server that sends mail."""

    host: str
    sender: str
    """The address that the mail comes from."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    port: Annotated[int, Meta(ge=1, le=65_535)] | None = None
    """Default: 587, or 465 with `tls`."""
    user: str | None = None
    password_variable: str | None = None
    """The environment variable with its password."""


STORE_SCHEMES = ("postgresql", "postgres")
STORE_PASSWORD = "BRIGGS_STORE_PASSWORD"  # noqa: S105
"""The environment variable with the password of a store."""


class FileSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The whole of `briggs.toml`."""

    store: str = "sqlite"
    """`sqlite`: a file in the data folder; or the address of a PostgreSQL database."""
    durability: Durability = "strict"
    on_store_failure: Literal["refuse", "answer"] = "refuse"
    """What happens to calls while the record cannot be written: refused with a 503, or answered
    without a record and counted."""
    on_hang_up: Literal["cancel", "drain"] = "cancel"
    """What happens to a call whose caller leaves before the answer is complete: the upstream is
    cancelled, or its answer is read to the end and recorded, within `[limits]`."""
    record_vectors: bool = False
    """Whether the vectors of embeddings are recorded. By default only their lengths are, because
    vectors are large and can be computed again."""
    workers: Annotated[int, Meta(ge=1, le=256)] = 1
    """How many processes answer on the port. `briggs serve --workers` overrides it."""
    default_provider: str | None = None
    """The provider for bare model names. Default: the only provider, if there is just one."""
    hosts: list[str] = []
    """Host names by which Briggs may be called, besides localhost and IP addresses."""
    origins: list[str] = []
    """Other origins whose pages may call Briggs, such as `https://app.example`."""
    providers: dict[str, ProviderSettings] = {}
    models: dict[str, ModelSettings] = {}
    retries: RetrySettings = msgspec.field(default_factory=RetrySettings)
    cool_down: CoolDownSettings = msgspec.field(default_factory=CoolDownSettings)
    prices: dict[str, PriceSettings] = {}
    limits: LimitSettings = msgspec.field(default_factory=LimitSettings)
    organizations: dict[str, OrganizationSettings] = {}
    retention: RetentionSettings = msgspec.field(default_factory=RetentionSettings)
    lake: LakeSettings | None = None
    redaction: RedactionSettings = msgspec.field(default_factory=RedactionSettings)
    alerts: list[AlertSettings] = []
    drift: list[DriftSettings] = []
    webhooks: dict[str, WebhookSettings] = {}
    smtp: SmtpSettings | None = None
    local: LocalSettings = msgspec.field(default_factory=LocalSettings)
    otel: OtelSettings | None = None
