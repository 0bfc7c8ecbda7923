"""The tables as they are today. `migrations.py` has their history.

Each belongs to an organization and leads its primary key with it, so that a distributed database
can keep an organization in one place. No number is counted by the database, and nothing has to be
unique across organizations. `REFERENCE_TABLES` says which tables are not like that, and why.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Float,
    FromClause,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    and_,
    literal_column,
    text,
    true,
)

from briggs.storage.functions import index_key, json_length
from briggs.storage.types import AnyBigInteger, AnyInteger, AnyText, Json, KeyText, Names
from briggs.types.completions import Attempt, Completion, Fix
from briggs.types.drift import DriftMove
from briggs.types.evals import Score, Scorer
from briggs.types.feedback import Suggestion
from briggs.types.judges import Example, Watch
from briggs.types.lake import LakeQuery
from briggs.types.limits import Limits
from briggs.types.prompts import Template

metadata = MetaData()

# One wide row per completion. The columns are the members of `Completion`, in the same order. The
# bodies come last, so that SQLite can read the other columns without passing over them.
completions = Table(
    "completions",
    metadata,
    Column("id", AnyText, nullable=False),
    Column("organization_id", AnyText, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("status", AnyText, nullable=False),
    Column("kind", AnyText, nullable=False),
    Column("source", AnyText, nullable=False, server_default=text("'gateway'")),
    Column("stream", Boolean, nullable=False),
    Column("provider", AnyText),
    Column("model", AnyText, nullable=False),
    Column("response_model", AnyText),
    Column("response_id", AnyText),
    Column("system_fingerprint", AnyText),
    Column("seed", AnyBigInteger),
    Column("user", AnyText),
    Column("session_id", AnyText),
    # JSON. This is the source of truth for tags and metadata; the two tables below are indexes.
    Column("tags", Json(list[str], empty_is_null=True)),
    Column("metadata", Json(dict[str, str], empty_is_null=True)),
    Column("finish_reasons", Json(list[str], empty_is_null=True)),
    Column("violates", Json(list[str], empty_is_null=True)),
    Column("fixes", Json(list[Fix], empty_is_null=True)),
    Column("dropped", Json(list[str], empty_is_null=True)),
    Column("prompt_tokens", AnyBigInteger),
    Column("completion_tokens", AnyBigInteger),
    Column("total_tokens", AnyBigInteger),
    Column("cached_tokens", AnyBigInteger),
    Column("cache_write_tokens", AnyBigInteger),
    Column("reasoning_tokens", AnyBigInteger),
    Column("usage_source", AnyText),
    Column("cost_usd", Float),
    Column("price_source", AnyText),
    Column("duration_ms", Float),
    Column("first_token_ms", Float),
    Column("caller_left_ms", Float),
    Column("p_mean", Float),
    Column("p_least", Float),
    Column("key_id", AnyText),
    # What lists show of large bodies, as JSON: see `previews.py`.
    Column("preview", AnyText),
    Column("attempts", Json(list[Attempt], empty_is_null=True)),
    Column("retry_count", AnyInteger, nullable=False),
    Column("retry_of", AnyText),
    Column("http_status", AnyInteger),
    Column("failure_kind", AnyText),
    Column("failure_reason", AnyText),
    Column("call_site", Json(dict[str, Any], empty_is_null=True)),
    Column("start_reported", Boolean, nullable=False, server_default=text("0")),
    Column("bodies_deleted_at", BigInteger),
    Column("redacted", Json(dict[str, int], empty_is_null=True)),
    # The process that answers a `started` call: see `owners.py`.
    Column("owner", AnyText),
    # 0: the bodies are stored as received. 1: each is a zstd frame, which names its dictionary.
    Column("encoding", SmallInteger, nullable=False, server_default=text("0")),
    Column("request", LargeBinary, nullable=False),
    Column("response", LargeBinary),
    Column("received", LargeBinary),
    PrimaryKeyConstraint("organization_id", "id"),
)

WRITTEN_COLUMNS = (*Completion.__struct_fields__, "encoding", "owner")
# These do not change while a call runs, and may have been updated in the meantime.
KEPT_COLUMNS = (
    *("id", "organization_id", "created_at", "kind", "source"),
    *("session_id", "tags", "metadata", "call_site", "start_reported"),
)

# The conditions of partial indexes. A query is read from such an index only if it has the index's
# own condition, with its constants and not with parameters.
IS_STARTED = completions.c.status == literal_column("'started'")
IS_TRIED_AGAIN = json_length(completions.c.attempts) > literal_column("1")
IS_UNCOMPRESSED = and_(
    completions.c.encoding == literal_column("0"),
    completions.c.status != literal_column("'started'"),
)
IS_COMPRESSED_WITH_RESPONSE_ID = and_(
    completions.c.encoding == literal_column("1"), completions.c.response_id.is_not(None)
)


def _partial_index(
    name: str, *columns: ColumnElement[Any], where: ColumnElement[bool], unique: bool = False
) -> None:
    Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


# SQLite chooses the index that covers the most columns of a query. So each index contains all
# columns of its query, even one that its own condition already fixes.
#
# What lists filter and sort by stands in the index too. Reading it from a million wide rows takes
# 700 ms; from the index it takes 110 ms.
Index(
    "completions_by_time",
    *(
        completions.c[name]
        for name in (
            *("organization_id", "created_at", "status", "provider", "model"),
            *("response_model", "user", "finish_reasons", "failure_kind", "total_tokens"),
            *("cost_usd", "duration_ms", "p_mean", "p_least"),
            *("kind", "source", "stream", "key_id", "http_status", "retry_count"),
            *("first_token_ms", "prompt_tokens", "completion_tokens"),
            *("cached_tokens", "reasoning_tokens", "id"),
        )
    ),
)
_partial_index(
    "completions_by_session",
    completions.c.organization_id,
    index_key(completions.c.session_id),
    completions.c.created_at,
    where=completions.c.session_id.is_not(None),
)
_partial_index(
    "completions_started",
    completions.c.organization_id,
    completions.c.status,
    completions.c.created_at,
    where=IS_STARTED,
)

# What hardly any completion has is found among the few that have it.
for _name, _condition in (
    ("completions_tried_again", IS_TRIED_AGAIN),
    ("completions_left_by_caller", completions.c.caller_left_ms.is_not(None)),
    ("completions_mended", completions.c.fixes.is_not(None)),
    ("completions_with_broken_rules", completions.c.violates.is_not(None)),
):
    _partial_index(_name, completions.c.organization_id, completions.c.created_at, where=_condition)


def is_of_session(id: Any, of: FromClause = completions) -> tuple[ColumnElement[bool], ...]:
    """The conditions of the calls of a session, as their index has them."""
    column = of.c.session_id
    return column.is_not(None), index_key(column) == id


# The calls that repeat another, by the first of them.
_partial_index(
    "completions_by_first_try",
    completions.c.organization_id,
    completions.c.retry_of,
    completions.c.retry_count,
    where=completions.c.retry_of.is_not(None),
)

# A row enters this index when its bodies are compressed. Until then it is found among the few rows
# in `completions_to_compress`.
_partial_index(
    "completions_by_response_id",
    completions.c.organization_id,
    index_key(completions.c.response_id),
    completions.c.created_at,
    where=IS_COMPRESSED_WITH_RESPONSE_ID,
)
_partial_index(
    "completions_to_compress",
    completions.c.organization_id,
    completions.c.encoding,
    completions.c.created_at,
    where=IS_UNCOMPRESSED,
)

# Filtering by such a table takes 0.07 ms; searching the JSON takes 99 ms. Time and id are part of
# the key, so that a page is read in order and the search stops early.
completion_tags = Table(
    "completion_tags",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("tag", KeyText, primary_key=True, nullable=False),
    Column("created_at", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    Column("completion_id", AnyText, primary_key=True, nullable=False),
    sqlite_with_rowid=False,
)

completion_metadata = Table(
    "completion_metadata",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("key", KeyText, primary_key=True, nullable=False),
    Column("value", KeyText, primary_key=True, nullable=False),
    Column("created_at", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    Column("completion_id", AnyText, primary_key=True, nullable=False),
    sqlite_with_rowid=False,
)

# The rules that the upstream's answer breaks. Most completions have none.
completion_rules = Table(
    "completion_rules",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("rule", AnyText, primary_key=True, nullable=False),
    Column("created_at", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    Column("completion_id", AnyText, primary_key=True, nullable=False),
    sqlite_with_rowid=False,
)

# The words of the completions of a range of time: see `search_segments.py`. The lists of words are
# read the most, so they stand before the postings, which are read past them. A summary has those of
# a group of segments.
search_segments, search_summaries = (
    Table(
        name,
        metadata,
        Column("organization_id", AnyText, primary_key=True, nullable=False),
        Column("begin_at", BigInteger, primary_key=True, nullable=False, autoincrement=False),
        Column("end_at", BigInteger, nullable=False),
        Column("rows", Integer, nullable=False),
        Column("blocks", LargeBinary, nullable=False),
        Column("opaque", LargeBinary, nullable=False),
        Column("words", LargeBinary, nullable=False),
        Column("postings", LargeBinary, nullable=False),
    )
    for name in ("search_segments", "search_summaries")
)

# Tool calls that their vendor signed. A later turn needs the signature, and knows only the id of
# the call.
signed_calls = Table(
    "signed_calls",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("call_id", KeyText, primary_key=True, nullable=False),
    Column("completion_id", AnyText, primary_key=True, nullable=False),
    sqlite_with_rowid=False,
)
Index("signed_calls_by_completion", signed_calls.c.organization_id, signed_calls.c.completion_id)

# What several bodies contain, by the hash of the organization and its bytes: see `pieces.py`. Its
# rows are read one by one and their content is large, so the key is an index of its own.
pieces = Table(
    "pieces",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("hash", LargeBinary, primary_key=True, nullable=False),
    # How often bodies and other pieces refer to it. A piece that nothing uses is deleted.
    Column("uses", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

# What is kept of a deleted completion: its place in the order, so that a page that ended with it
# can be continued.
deleted_completions = Table(
    "deleted_completions",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("id", AnyText, primary_key=True, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# What the lake has to delete: see `lake_deletions.py`. A query is JSON.
lake_deletions = Table(
    "lake_deletions",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("id", AnyText, primary_key=True, nullable=False),
    Column("demanded_at", BigInteger, nullable=False),
    Column("query", Json(LakeQuery), nullable=False),
    sqlite_with_rowid=False,
)

# Sums over the completions that have ended: see `rollups.py`. A tally is JSON.
rollups = Table(
    "rollups",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("span", AnyText, primary_key=True, nullable=False),
    Column("begin_at", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    Column("model", AnyText, primary_key=True, nullable=False),
    Column("provider", AnyText, primary_key=True, nullable=False),
    Column("tally", AnyText, nullable=False),
)

# What each commit added or took away, until it is folded into the rollups.
rollup_changes = Table(
    "rollup_changes",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("id", AnyText, primary_key=True, nullable=False),
    Column("begin_at", BigInteger, nullable=False),
    Column("model", AnyText, nullable=False),
    Column("provider", AnyText, nullable=False),
    Column("tally", AnyText, nullable=False),
    # What the calls of this change cost, by key and end user, as JSON. NULL if nothing.
    Column("spent", AnyText),
    sqlite_with_rowid=False,
)

# What was spent in a day: see `spending.py`. `holder` and `holder_id` say by whom.
spending = Table(
    "spending",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("day", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    Column("holder", AnyText, primary_key=True, nullable=False),
    Column("holder_id", AnyText, primary_key=True, nullable=False),
    Column("cost_nanodollars", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# The organizations whose older completions are not in the rollups yet: all from before `until_at`.
# `begun_at` is where the counting began, and `oldest_at` is where it will end.
rollup_fills = Table(
    "rollup_fills",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("until_at", BigInteger, nullable=False),
    Column("begun_at", BigInteger, nullable=False),
    Column("oldest_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# What the completions of a past hour range over: see `kept_hours.py`. The zone is null while it is
# being read, and `token` says by which reading. A change of the hour deletes the row.
hours = Table(
    "hours",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("hour", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    Column("token", AnyText, nullable=False),
    Column("zone", LargeBinary),
)

keys = Table(
    "keys",
    metadata,
    Column("id", AnyText, primary_key=True, nullable=False),
    Column("organization_id", AnyText, nullable=False),
    Column("name", AnyText, nullable=False),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("redacted_value", AnyText, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    Column("scopes", Names, nullable=False, server_default=text("'answer,read,grade,admin'")),
    Column("expires_at", BigInteger),
    # Set on invitations: the task that the key opens.
    Column("task_id", AnyText),
    Column("limits", Json(Limits, none_is_null=True)),
)

# Browsers that are signed in, and links that sign one in, by the hashes of their secrets.
sign_ins = Table(
    "sign_ins",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("hash", LargeBinary, primary_key=True, nullable=False),
    Column("kind", AnyText, nullable=False),
    Column("key_id", AnyText, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
Index(
    "sign_ins_by_key",
    sign_ins.c.organization_id,
    sign_ins.c.key_id,
    sign_ins.c.kind,
    sign_ins.c.created_at,
)
Index("sign_ins_by_end", sign_ins.c.organization_id, sign_ins.c.expires_at)

organizations = Table(
    "organizations",
    metadata,
    Column("id", AnyText, primary_key=True, nullable=False),
    Column("slug", AnyText, nullable=False, unique=True),
    Column("name", AnyText, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

# The sessions that exist. Their contents are read from their completions.
sessions = Table(
    "sessions",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("id", KeyText, primary_key=True, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
Index("sessions_by_time", sessions.c.organization_id, sessions.c.created_at)

# One row per task. The two `fill` columns say how far back the record has been searched for
# completions that the task selects. They are null once the search is complete.
feedback_tasks = Table(
    "feedback_tasks",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("id", AnyText, primary_key=True, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("archived_at", BigInteger),
    Column("version", Integer, nullable=False),
    Column("name", AnyText, nullable=False),
    Column("instruction", AnyText, nullable=False),
    Column("json_schema", Json, nullable=False),
    Column("completion_tags_selector", Json, nullable=False),
    Column("counts_from", Integer, nullable=False, server_default=text("1")),
    Column("reviewers_wanted", Integer, nullable=False),
    Column("blind", Boolean, nullable=False),
    # How far its queue is filled: see `feedback_fill.py`.
    Column("fill_created_at", BigInteger),
    Column("fill_id", AnyText),
    Column("hide_model", Boolean, nullable=False, server_default=text("0")),
    # A `preference` task is built in, and has no queue.
    Column("kind", AnyText, nullable=False, server_default=text("'grade'")),
    Column("suggesting_judge", AnyText, nullable=False, server_default=text("''")),
    Column("suggesting_version", Integer, nullable=False, server_default=text("0")),
    Column("order", AnyText, nullable=False, server_default=text("'oldest'")),
    sqlite_with_rowid=False,
)
Index("feedback_tasks_by_time", feedback_tasks.c.organization_id, feedback_tasks.c.created_at)

# Every version, including the current one.
feedback_task_versions = Table(
    "feedback_task_versions",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("task_id", AnyText, primary_key=True, nullable=False),
    Column("version", Integer, primary_key=True, nullable=False, autoincrement=False),
    Column("created_at", BigInteger, nullable=False),
    Column("instruction", AnyText, nullable=False),
    Column("json_schema", Json, nullable=False),
    sqlite_with_rowid=False,
)

feedback = Table(
    "feedback",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("id", AnyText, primary_key=True, nullable=False),
    Column("task_id", AnyText, nullable=False),
    Column("task_version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("reviewer", AnyText, nullable=False),
    Column("reviewer_kind", AnyText, nullable=False),
    Column("json_values", Json, nullable=False),
    Column("comment", AnyText, nullable=False),
    Column("rationale", Json, nullable=False),
    Column("corrected_output", Json, nullable=False),
    # The key recognises a repeated request, and the hash compares it with the first.
    Column("idempotency_key", AnyText),
    Column("idempotency_hash", LargeBinary),
    Column("suggestion", Json(Suggestion, none_is_null=True)),
    # Of the lease under which it was given.
    Column("selection_chance", Float),
)
Index("feedback_by_time", feedback.c.organization_id, feedback.c.created_at)
Index("feedback_by_task", feedback.c.organization_id, feedback.c.task_id, feedback.c.created_at)
Index(
    "feedback_by_version", feedback.c.organization_id, feedback.c.task_id, feedback.c.task_version
)
_partial_index(
    "feedback_by_idempotency_key",
    feedback.c.organization_id,
    feedback.c.idempotency_key,
    unique=True,
    where=feedback.c.idempotency_key.is_not(None),
)

# The versions that an edit replaced.
feedback_versions = Table(
    "feedback_versions",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("feedback_id", AnyText, primary_key=True, nullable=False),
    Column("version", Integer, primary_key=True, nullable=False, autoincrement=False),
    Column("created_at", BigInteger, nullable=False),
    Column("json_values", Json, nullable=False),
    Column("comment", AnyText, nullable=False),
    Column("rationale", Json, nullable=False),
    Column("corrected_output", Json, nullable=False),
    sqlite_with_rowid=False,
)

# A name for the feedback of a task as it is now: see `feedback_marks.py`.
feedback_marks = Table(
    "feedback_marks",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("task_id", AnyText, primary_key=True, nullable=False),
    Column("mark", AnyText, nullable=False),
    # The completions up to this one have their row in `feedback_together`. Null if all have.
    Column("counted_to", AnyText, server_default=text("''")),
    sqlite_with_rowid=False,
)

# What reviewers said together of a completion, as it is counted in the sums: `feedback_sums.py`.
feedback_together = Table(
    "feedback_together",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("task_id", AnyText, primary_key=True, nullable=False),
    Column("completion_id", AnyText, primary_key=True, nullable=False),
    Column("version", Integer, primary_key=True, nullable=False, autoincrement=False),
    # In how many fields the reviewers differ, and whether the completion had not ended.
    Column("differing", Integer, nullable=False),
    Column("running", Boolean, nullable=False),
    Column("counts", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
_partial_index(
    "feedback_together_by_differing",
    feedback_together.c.organization_id,
    feedback_together.c.task_id,
    feedback_together.c.version,
    feedback_together.c.differing,
    feedback_together.c.completion_id,
    where=feedback_together.c.differing > literal_column("0"),
)
IS_RUNNING = feedback_together.c.running == true()
_partial_index(
    "feedback_together_running",
    feedback_together.c.organization_id,
    feedback_together.c.task_id,
    feedback_together.c.completion_id,
    where=IS_RUNNING,
)

# The sums of that for each version of a task. A name may be longer than an index has room for.
feedback_sums = Table(
    "feedback_sums",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("task_id", AnyText, primary_key=True, nullable=False),
    Column("version", Integer, primary_key=True, nullable=False, autoincrement=False),
    Column("hash", LargeBinary, primary_key=True, nullable=False),
    Column("name", AnyText, nullable=False),
    Column("total", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# The completions that a feedback is about. They may have been deleted.
feedback_completions = Table(
    "feedback_completions",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("task_id", AnyText, primary_key=True, nullable=False),
    Column("completion_id", AnyText, primary_key=True, nullable=False),
    Column("reviewer", AnyText, primary_key=True, nullable=False),
    Column("feedback_id", AnyText, primary_key=True, nullable=False),
    sqlite_with_rowid=False,
)
for _name, _id in (
    ("feedback_completions_by_completion", feedback_completions.c.completion_id),
    ("feedback_completions_by_feedback", feedback_completions.c.feedback_id),
):
    Index(_name, feedback_completions.c.organization_id, _id)

# The finished completions that each task selects. The indexes contain only those still open, so
# that the next one is found at once, however many are graded.
feedback_queue = Table(
    "feedback_queue",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("task_id", AnyText, primary_key=True, nullable=False),
    Column("completion_id", AnyText, primary_key=True, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("model", AnyText, nullable=False),
    Column("response_model", AnyText),
    # The mean over the answer's tokens; null if it has no logprobs.
    Column("mean_logprob", Float),
    # The place on a circle of 2**53 places. A random order and a sample are ranges of it.
    Column("place", BigInteger, nullable=False),
    # How likely it is to be asked about, if one at random has 1, and when it is due, the least
    # first. Null until a judge has judged it.
    Column("chance", Float),
    Column("turn", Float),
    # How many distinct reviewers have answered.
    Column("reviews", Integer, nullable=False),
    # Whether more reviewers are wanted.
    Column("open", Boolean, nullable=False),
    sqlite_with_rowid=False,
)
IS_OPEN = feedback_queue.c.open == true()
for _name, _column in (
    ("feedback_queue_by_time", feedback_queue.c.created_at),
    ("feedback_queue_by_logprob", feedback_queue.c.mean_logprob),
    ("feedback_queue_by_place", feedback_queue.c.place),
    ("feedback_queue_by_turn", feedback_queue.c.turn),
):
    _partial_index(
        _name,
        *(feedback_queue.c.organization_id, feedback_queue.c.task_id, _column),
        where=IS_OPEN,
    )

# How many rows `feedback_queue` has for each task, and how many of them are open.
feedback_counts = Table(
    "feedback_counts",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("task_id", AnyText, primary_key=True, nullable=False),
    Column("matching", BigInteger, nullable=False),
    Column("left", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# An expired lease is kept. It shows whether a late reviewer ever took the completion from the
# queue.
feedback_leases = Table(
    "feedback_leases",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("task_id", AnyText, primary_key=True, nullable=False),
    Column("completion_id", AnyText, primary_key=True, nullable=False),
    Column("reviewer", AnyText, primary_key=True, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    # The chance of the completion, if it was taken in the order of its turn.
    Column("chance", Float),
    sqlite_with_rowid=False,
)

feedback_skips = Table(
    "feedback_skips",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("task_id", AnyText, primary_key=True, nullable=False),
    Column("completion_id", AnyText, primary_key=True, nullable=False),
    Column("reviewer", AnyText, primary_key=True, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("reason", AnyText, nullable=False),
    sqlite_with_rowid=False,
)

# Evaluations that ran as tests elsewhere. A report is a zstd frame.
test_runs = Table(
    "test_runs",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("id", AnyText, primary_key=True, nullable=False),
    Column("name", AnyText, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("upload_hash", AnyText, nullable=False),
    Column("upload_expires_at", BigInteger, nullable=False),
    Column("reported_at", BigInteger),
    Column("report", LargeBinary),
)
Index("test_runs_by_time", test_runs.c.organization_id, test_runs.c.created_at)

# Lists of completions that people have named.
views = Table(
    "views",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("id", AnyText, primary_key=True, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("name", AnyText, nullable=False),
    Column("state", AnyText, nullable=False),
)
Index("views_by_organization", views.c.organization_id)

# Models that grade. A version never changes.
judges = Table(
    "judges",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("id", AnyText, primary_key=True, nullable=False),
    Column("name", AnyText, nullable=False),
    Column("task_id", AnyText, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("archived_at", BigInteger),
    Column("watch", Json(Watch | None), nullable=False),
    sqlite_with_rowid=False,
)

judge_versions = Table(
    "judge_versions",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("judge_id", AnyText, primary_key=True, nullable=False),
    Column("version", Integer, primary_key=True, nullable=False, autoincrement=False),
    Column("created_at", BigInteger, nullable=False),
    Column("model", AnyText, nullable=False),
    Column("task_version", Integer, nullable=False),
    Column("json_schema", Json, nullable=False),
    Column("prompt", AnyText, nullable=False),
    Column("mark", AnyText, nullable=False),
    Column("examples", Json(list[Example]), nullable=False),
    Column("examples_shown", Integer, nullable=False),
    Column("samples", Integer, nullable=False),
    Column("max_tokens", Integer, nullable=False),
    Column("options", Json, nullable=False),
    sqlite_with_rowid=False,
)

# What a version of a judge says of a completion. Its values and its reason are in its feedback.
judgements = Table(
    "judgements",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("judge_id", AnyText, primary_key=True, nullable=False),
    Column("version", Integer, primary_key=True, nullable=False, autoincrement=False),
    Column("completion_id", AnyText, primary_key=True, nullable=False),
    Column("status", AnyText, nullable=False),
    Column("asked", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("call_ids", Json(list[str]), nullable=False),
    Column("cost_usd", Float),
    Column("system_fingerprint", AnyText),
    Column("scores", Json(dict[str, float]), nullable=False),
    Column("probabilities", Json(dict[str, list[float]]), nullable=False),
    Column("mass", Float),
    Column("example_ids", Json(list[str]), nullable=False),
    Column("failure", AnyText),
    Column("failure_reason", AnyText),
    Column("is_copy", Boolean, nullable=False),
    Column("feedback_id", AnyText),
    sqlite_with_rowid=False,
)
Index(
    "judgements_by_question",
    judgements.c.organization_id,
    judgements.c.judge_id,
    judgements.c.asked,
)
Index("judgements_by_completion", judgements.c.organization_id, judgements.c.completion_id)

judge_runs = Table(
    "judge_runs",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("id", AnyText, primary_key=True, nullable=False),
    Column("judge_id", AnyText, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("status", AnyText, nullable=False),
    Column("filter", AnyText, nullable=False),
    Column("limit", Integer),
    Column("budget_usd", Float),
    Column("matching", Integer, nullable=False),
    Column("is_counted", Boolean, nullable=False),
    Column("judged", Integer, nullable=False),
    Column("copied", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("failures", Json(dict[str, int]), nullable=False),
    Column("cost_usd", Float, nullable=False),
    Column("unpriced", Integer, nullable=False),
    Column("message", AnyText, nullable=False),
    sqlite_with_rowid=False,
)

# Whether each alert fires. Alerts are in the file.
alert_states = Table(
    "alert_states",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("name", AnyText, primary_key=True, nullable=False),
    Column("is_firing", Boolean, nullable=False),
    Column("since_at", BigInteger, nullable=False),
    Column("value", Float, nullable=False),
    sqlite_with_rowid=False,
)

# Messages that have not arrived yet.
deliveries = Table(
    "deliveries",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("id", AnyText, primary_key=True, nullable=False),
    Column("webhook", AnyText),
    Column("email", AnyText),
    Column("body", AnyText, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("failure", AnyText),
    sqlite_with_rowid=False,
)

# Each row is one version, which never changes.
datasets = Table(
    "datasets",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("id", AnyText, primary_key=True, nullable=False),
    Column("name", AnyText, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("source", AnyText, nullable=False),
    Column("samples", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("hash", AnyText, nullable=False),
    sqlite_with_rowid=False,
)
Index(
    "datasets_by_name",
    datasets.c.organization_id,
    datasets.c.name,
    datasets.c.version,
    unique=True,
)

# A sample is JSON in a zstd frame.
dataset_samples = Table(
    "dataset_samples",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("dataset_id", AnyText, primary_key=True, nullable=False),
    Column("number", Integer, primary_key=True, nullable=False, autoincrement=False),
    Column("sample", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

eval_runs = Table(
    "eval_runs",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("id", AnyText, primary_key=True, nullable=False),
    Column("name", AnyText, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("status", AnyText, nullable=False),
    Column("failure", AnyText, nullable=False),
    Column("dataset_id", AnyText, nullable=False),
    Column("dataset", AnyText, nullable=False),
    Column("samples", Integer, nullable=False),
    Column("targets", Json(list[str]), nullable=False),
    Column("scorers", Json(list[Scorer]), nullable=False),
    Column("repeats", Integer, nullable=False),
    Column("parameters", Json, nullable=False),
    Column("concurrency", Integer, nullable=False),
    Column("fresh", Boolean, nullable=False),
    Column("key_id", AnyText),
    Column("plan_hash", AnyText, nullable=False),
    sqlite_with_rowid=False,
)
Index("eval_runs_by_time", eval_runs.c.organization_id, eval_runs.c.created_at)

# An answer is `asked` before its target is, so that nothing is asked twice.
eval_answers = Table(
    "eval_answers",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("run_id", AnyText, primary_key=True, nullable=False),
    Column("sample", Integer, primary_key=True, nullable=False, autoincrement=False),
    Column("target", AnyText, primary_key=True, nullable=False),
    Column("repeat", Integer, primary_key=True, nullable=False, autoincrement=False),
    Column("status", AnyText, nullable=False),
    Column("completion_id", AnyText),
    Column("request_hash", AnyText, nullable=False),
    Column("is_cached", Boolean, nullable=False),
    Column("failure_kind", AnyText),
    Column("failure_reason", AnyText),
    Column("is_cut", Boolean, nullable=False),
    Column("prompt_tokens", AnyBigInteger),
    Column("completion_tokens", AnyBigInteger),
    Column("cost_usd", Float),
    Column("duration_ms", Float),
    Column("scores", Json(list[Score], empty_is_null=True)),
    sqlite_with_rowid=False,
)
IS_ANSWERED = eval_answers.c.status == literal_column("'answered'")
_partial_index(
    "eval_answers_by_request",
    eval_answers.c.organization_id,
    eval_answers.c.request_hash,
    where=IS_ANSWERED,
)

# What was added to the record later is found for old rows step by step, in the order of their keys.
# A finished backfill has no row.
backfills = Table(
    "backfills",
    metadata,
    Column("name", AnyText, primary_key=True, nullable=False),
    Column("after_organization_id", AnyText, nullable=False, server_default=text("''")),
    Column("after_id", AnyText, nullable=False),
    sqlite_with_rowid=False,
)

# What this database is being copied from. A server that opens it deletes the row.
copied_from = Table(
    "copied_from",
    metadata,
    Column("id", AnyText, primary_key=True, nullable=False),
    Column("source", AnyText, nullable=False),
    Column("run", AnyText, nullable=False),
    Column("is_complete", Boolean, nullable=False),
    Column("begun_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# After a failure, the store writes here to check whether it can write again.
probes = Table(
    "probes",
    metadata,
    Column("id", AnyText, primary_key=True, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

migrations = Table(
    "migrations",
    metadata,
    Column("number", Integer, primary_key=True, nullable=False, autoincrement=False),
    Column("name", AnyText, nullable=False),
    Column("applied_at", BigInteger, nullable=False),
)

drift_watches = Table(
    "drift_watches",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("id", AnyText, primary_key=True, nullable=False),
    Column("target", AnyText, nullable=False),
    Column("source", AnyText, nullable=False, server_default=text("'probes'")),
    Column("created_at", BigInteger, nullable=False),
    Column("every_s", Float, nullable=False),
    Column("window_rounds", Integer, nullable=False),
    Column("is_from_file", Boolean, nullable=False),
    Column("is_paused", Boolean, nullable=False),
    Column("evidence", AnyText),
    Column("tokens", Json(list[str | None]), nullable=False),
    Column("asked_at", BigInteger, nullable=False),
    Column("failure", AnyText),
    sqlite_with_rowid=False,
)

drift_rounds = Table(
    "drift_rounds",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("watch_id", AnyText, primary_key=True, nullable=False),
    Column("at", BigInteger, primary_key=True, nullable=False),
    Column("logprobs", Json(list[float | None]), nullable=False),
    Column("texts", Json(list[str | None]), nullable=False),
    Column("fingerprints", Json(list[str]), nullable=False),
    Column("completion_ids", Json(list[str]), nullable=False),
    Column("duration_ms", Float),
    Column("completion_tokens", Float),
    Column("failures", Integer, nullable=False),
    Column("p", Float),
    Column("seeded_repeats", Float),
    sqlite_with_rowid=False,
)

drift_changes = Table(
    "drift_changes",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("watch_id", AnyText, primary_key=True, nullable=False),
    Column("at", BigInteger, primary_key=True, nullable=False),
    Column("from_at", BigInteger, nullable=False),
    Column("until_at", BigInteger, nullable=False),
    Column("p", Float, nullable=False),
    Column("mean_square", Float, nullable=False),
    Column("largest", Float, nullable=False),
    Column("moved", Json(list[DriftMove]), nullable=False),
    Column("probes", Integer, nullable=False),
    Column("evidence", AnyText, nullable=False),
    Column("fingerprints_before", Json(list[str]), nullable=False),
    Column("fingerprints_now", Json(list[str]), nullable=False),
    Column("duration_ms_before", Float),
    Column("duration_ms_now", Float),
    Column("seeded_repeats_before", Float),
    Column("seeded_repeats_now", Float),
    Column("seeded_repeats_across", Float),
    sqlite_with_rowid=False,
)

prompts = Table(
    "prompts",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("id", AnyText, primary_key=True, nullable=False),
    Column("name", AnyText, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_version", Integer, nullable=False, server_default=text("0")),
    Column("sorted_to", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
Index("prompts_by_name", prompts.c.organization_id, prompts.c.name, unique=True)

prompt_versions = Table(
    "prompt_versions",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("prompt_id", AnyText, primary_key=True, nullable=False),
    Column("version", Integer, primary_key=True, nullable=False, autoincrement=False),
    Column("created_at", BigInteger, nullable=False),
    Column("template", Json(Template), nullable=False),
    Column("decided_by", AnyText, nullable=False),
    Column("of_version", Integer),
    Column("distance", Float),
    sqlite_with_rowid=False,
)

# Which calls have which named prompt. It is filled in the background.
prompt_completions = Table(
    "prompt_completions",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("prompt_id", AnyText, primary_key=True, nullable=False),
    Column("created_at", BigInteger, primary_key=True, nullable=False),
    Column("completion_id", AnyText, primary_key=True, nullable=False),
    Column("version", Integer, nullable=False),
    sqlite_with_rowid=False,
)

# The processes that answer and record here, if other machines can reach the database: `nodes.py`.
nodes = Table(
    "nodes",
    metadata,
    Column("id", AnyText, primary_key=True, nullable=False),
    Column("name", AnyText, nullable=False),
    # Those of one data folder are on one machine.
    Column("folder_id", AnyText, nullable=False),
    Column("process", AnyText, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    # By the database's clock. A node puts it off as long as it lives.
    Column("alive_until", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False, server_default=text("0")),
    Column("version", AnyText, nullable=False, server_default=""),
    Column("has_left", Boolean, nullable=False, server_default=text("false")),
    sqlite_with_rowid=False,
)

# What only one node at a time does.
leases = Table(
    "leases",
    metadata,
    Column("name", AnyText, primary_key=True, nullable=False),
    Column("node_id", AnyText, nullable=False),
    Column("until", BigInteger, nullable=False),
    # Counted up when another node takes it. What belongs to an earlier term is not written.
    Column("term", BigInteger, nullable=False, server_default=text("0")),
    sqlite_with_rowid=False,
)

# One row. Counted up by whoever changes what others remember: see `Database.note_change`.
changes = Table(
    "changes",
    metadata,
    Column("name", AnyText, primary_key=True, nullable=False),
    Column("version", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# What nodes have said to each other within the last minute.
node_messages = Table(
    "node_messages",
    metadata,
    Column("id", AnyText, primary_key=True, nullable=False),
    Column("sender_id", AnyText, nullable=False),
    Column("sent_at", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
Index("node_messages_by_time", node_messages.c.sent_at)

# What each node may use of the limits of one holder: `allowances.py`. Dollars are in units of 1e-9.
allowances = Table(
    "allowances",
    metadata,
    Column("organization_id", AnyText, primary_key=True, nullable=False),
    Column("holder", AnyText, primary_key=True, nullable=False),
    Column("holder_id", AnyText, primary_key=True, nullable=False),
    Column("node_id", AnyText, primary_key=True, nullable=False),
    Column("requests", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("calls", BigInteger, nullable=False),
    Column("nanodollars", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

REFERENCE_TABLES = {
    organizations: "organizations are listed, and found by their slugs",
    keys: "a caller's secret is looked up before it is known whose it is",
    backfills: "how far this database has been worked through",
    copied_from: "whether this database is a copy that is not complete",
    probes: "written to see whether the database can be written",
    migrations: "the version of this database",
    nodes: "who records here, for all organizations",
    leases: "what only one node at a time does, for all organizations",
    node_messages: "what nodes say to each other, about all organizations",
    changes: "one number, which every transaction reads",
}
"""The tables that every part of a distributed database has a copy of. They are small."""
