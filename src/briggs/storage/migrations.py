"""The history of the tables, as a list of migrations. They run when a database is opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    select,
    text,
)

from briggs.storage import tables
from briggs.storage.errors import StoreTooNew
from briggs.storage.sqlite.connections import transaction
from briggs.types import json
from briggs.types.completions import current_time_us

Migration = Callable[[Connection], None]
MIGRATIONS: list[Migration] = []


def migration(function: Migration) -> Migration:
    """Append to the list. A released migration never changes: a later one corrects it."""
    MIGRATIONS.append(function)
    return function


def migrate(connection: Connection, *, migrations: Sequence[Migration] = MIGRATIONS) -> list[str]:
    """Bring the database up to date, one transaction per step. Returns the steps that ran."""
    tables.migrations.create(connection, checkfirst=True)
    applied = set(connection.scalars(select(tables.migrations.c.number)))
    if applied and max(applied) > len(migrations):
        raise StoreTooNew(
            f"this database is at version {max(applied)}, but this Briggs knows {len(migrations)}: "
            "install the newer Briggs, or restore a copy made before the upgrade"
        )
    done = []
    for number, step in enumerate(migrations, start=1):
        if number not in applied:
            _apply(connection, number=number, step=step)
            done.append(step.__name__)
    return done


@migration
def record_completions(connection: Connection) -> None:
    metadata = MetaData()
    completions = Table(
        "completions",
        metadata,
        Column("id", Text, primary_key=True, nullable=False),
        Column("organization_id", Text, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("status", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("stream", Boolean, nullable=False),
        Column("provider", Text),
        Column("model", Text, nullable=False),
        Column("response_model", Text),
        Column("response_id", Text),
        Column("system_fingerprint", Text),
        Column("seed", BigInteger),
        Column("user", Text),
        Column("session_id", Text),
        Column("tags", Text),
        Column("metadata", Text),
        Column("finish_reasons", Text),
        Column("prompt_tokens", BigInteger),
        Column("completion_tokens", BigInteger),
        Column("total_tokens", BigInteger),
        Column("cached_tokens", BigInteger),
        Column("reasoning_tokens", BigInteger),
        Column("cost_usd", Float),
        Column("duration_ms", Float),
        Column("first_token_ms", Float),
        Column("attempts", Integer, nullable=False),
        Column("retry_count", Integer, nullable=False),
        Column("http_status", Integer),
        Column("failure_kind", Text),
        Column("failure_reason", Text),
        Column("encoding", SmallInteger, nullable=False, server_default=text("0")),
        Column("request", LargeBinary, nullable=False),
        Column("response", LargeBinary),
        Column("received", LargeBinary),
    )
    Index("completions_by_time", completions.c.organization_id, completions.c.created_at)
    _partial_index(
        "completions_by_session",
        [completions.c.organization_id, completions.c.session_id, completions.c.created_at],
        where="session_id IS NOT NULL",
    )
    _partial_index(
        "completions_started",
        [completions.c.organization_id, completions.c.status, completions.c.created_at],
        where="status = 'started'",
    )
    metadata.create_all(connection)


@migration
def find_completions_by_tag_and_metadata(connection: Connection) -> None:
    metadata = MetaData()
    Table(
        "completion_tags",
        metadata,
        Column("organization_id", Text, primary_key=True, nullable=False),
        Column("tag", Text, primary_key=True, nullable=False),
        Column("created_at", BigInteger, primary_key=True, nullable=False, autoincrement=False),
        Column("completion_id", Text, primary_key=True, nullable=False),
        sqlite_with_rowid=False,
    )
    Table(
        "completion_metadata",
        metadata,
        Column("organization_id", Text, primary_key=True, nullable=False),
        Column("key", Text, primary_key=True, nullable=False),
        Column("value", Text, primary_key=True, nullable=False),
        Column("created_at", BigInteger, primary_key=True, nullable=False, autoincrement=False),
        Column("completion_id", Text, primary_key=True, nullable=False),
        sqlite_with_rowid=False,
    )
    metadata.create_all(connection)


@migration
def remember_where_deleted_completions_stood(connection: Connection) -> None:
    metadata = MetaData()
    Table(
        "deleted_completions",
        metadata,
        Column("id", Text, primary_key=True, nullable=False),
        Column("organization_id", Text, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    metadata.create_all(connection)


@migration
def compress_bodies_later(connection: Connection) -> None:
    completions = Table(
        "completions",
        MetaData(),
        *(
            Column(name, Text)
            for name in ("organization_id", "created_at", "encoding", "response_id")
        ),
    )
    for index in (
        _partial_index(
            "completions_by_response_id",
            [
                completions.c.organization_id,
                completions.c.response_id,
                completions.c.created_at,
            ],
            where="encoding = 1 AND response_id IS NOT NULL",
        ),
        _partial_index(
            "completions_to_compress",
            [completions.c.organization_id, completions.c.encoding, completions.c.created_at],
            where="encoding = 0 AND status <> 'started'",
        ),
    ):
        index.create(connection)


@migration
def recognise_keys(connection: Connection) -> None:
    metadata = MetaData()
    Table(
        "keys",
        metadata,
        Column("id", Text, primary_key=True, nullable=False),
        Column("organization_id", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("hash", LargeBinary, nullable=False, unique=True),
        Column("redacted_value", Text, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("last_used_at", BigInteger),
    )
    metadata.create_all(connection)


@migration
def probe_a_store_that_failed(connection: Connection) -> None:
    metadata = MetaData()
    Table(
        "probes",
        metadata,
        Column("id", Integer, primary_key=True, nullable=False),
        Column("content", LargeBinary, nullable=False),
    )
    metadata.create_all(connection)


@migration
def record_attempts_violations_and_prices(connection: Connection) -> None:
    """Rebuild the table, because the bodies must stay its last columns.

    Until now only the number of attempts was recorded, so their details stay unknown.
    """
    connection.execute(text("ALTER TABLE completions RENAME TO completions_before"))
    for name in (
        "completions_by_time",
        "completions_by_session",
        "completions_started",
        "completions_by_response_id",
        "completions_to_compress",
    ):
        connection.execute(text(f"DROP INDEX {name}"))
    metadata = MetaData()
    completions = Table(
        "completions",
        metadata,
        Column("id", Text, primary_key=True, nullable=False),
        Column("organization_id", Text, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("status", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("source", Text, nullable=False, server_default=text("'gateway'")),
        Column("stream", Boolean, nullable=False),
        Column("provider", Text),
        Column("model", Text, nullable=False),
        Column("response_model", Text),
        Column("response_id", Text),
        Column("system_fingerprint", Text),
        Column("seed", BigInteger),
        Column("user", Text),
        Column("session_id", Text),
        Column("tags", Text),
        Column("metadata", Text),
        Column("finish_reasons", Text),
        Column("violates", Text),
        Column("fixes", Text),
        Column("dropped", Text),
        Column("prompt_tokens", BigInteger),
        Column("completion_tokens", BigInteger),
        Column("total_tokens", BigInteger),
        Column("cached_tokens", BigInteger),
        Column("cache_write_tokens", BigInteger),
        Column("reasoning_tokens", BigInteger),
        Column("usage_source", Text),
        Column("cost_usd", Float),
        Column("price_source", Text),
        Column("duration_ms", Float),
        Column("first_token_ms", Float),
        Column("attempts", Text),
        Column("retry_count", Integer, nullable=False),
        Column("retry_of", Text),
        Column("http_status", Integer),
        Column("failure_kind", Text),
        Column("failure_reason", Text),
        Column("call_site", Text),
        Column("encoding", SmallInteger, nullable=False, server_default=text("0")),
        Column("request", LargeBinary, nullable=False),
        Column("response", LargeBinary),
        Column("received", LargeBinary),
    )
    columns = completions.c
    Index("completions_by_time", columns.organization_id, columns.created_at)
    for name, middle, where in (
        ("completions_by_session", columns.session_id, "session_id IS NOT NULL"),
        ("completions_started", columns.status, "status = 'started'"),
        (
            "completions_by_response_id",
            columns.response_id,
            "encoding = 1 AND response_id IS NOT NULL",
        ),
        ("completions_to_compress", columns.encoding, "encoding = 0 AND status <> 'started'"),
    ):
        _partial_index(name, [columns.organization_id, middle, columns.created_at], where=where)
    metadata.create_all(connection)
    added = {
        "source",
        "violates",
        "fixes",
        "dropped",
        "cache_write_tokens",
        "usage_source",
        "price_source",
        "attempts",
        "retry_of",
        "call_site",
    }
    kept = ", ".join(f'"{column.name}"' for column in columns if column.name not in added)
    connection.execute(
        text(f"INSERT INTO completions ({kept}) SELECT {kept} FROM completions_before")  # noqa: S608
    )
    connection.execute(text("DROP TABLE completions_before"))


@migration
def find_completions_by_rule(connection: Connection) -> None:
    metadata = MetaData()
    Table(
        "completion_rules",
        metadata,
        Column("organization_id", Text, primary_key=True, nullable=False),
        Column("rule", Text, primary_key=True, nullable=False),
        Column("created_at", BigInteger, primary_key=True, nullable=False, autoincrement=False),
        Column("completion_id", Text, primary_key=True, nullable=False),
        sqlite_with_rowid=False,
    )
    metadata.create_all(connection)


@migration
def tell_organizations_apart(connection: Connection) -> None:
    metadata = MetaData()
    organizations = Table(
        "organizations",
        metadata,
        Column("id", Text, primary_key=True, nullable=False),
        Column("slug", Text, nullable=False, unique=True),
        Column("name", Text, nullable=False),
        Column("created_at", BigInteger, nullable=False),
    )
    sessions = Table(
        "sessions",
        metadata,
        Column("organization_id", Text, primary_key=True, nullable=False),
        Column("id", Text, primary_key=True, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    Index("sessions_by_time", sessions.c.organization_id, sessions.c.created_at)
    metadata.create_all(connection)
    connection.execute(
        organizations.insert().values(
            id="default", slug="default", name="Default", created_at=current_time_us()
        )
    )
    connection.execute(
        text(
            "INSERT INTO sessions SELECT organization_id, session_id, min(created_at) "
            "FROM completions WHERE session_id IS NOT NULL GROUP BY 1, 2"
        )
    )
    everything = "TEXT NOT NULL DEFAULT 'answer,read,grade,admin'"
    connection.execute(text(f"ALTER TABLE keys ADD COLUMN scopes {everything}"))
    connection.execute(text("ALTER TABLE keys ADD COLUMN expires_at BIGINT"))


@migration
def grade_completions(connection: Connection) -> None:
    metadata = MetaData()
    feedback_tasks = Table(
        "feedback_tasks",
        metadata,
        Column("id", Text, primary_key=True, nullable=False),
        Column("organization_id", Text, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("updated_at", BigInteger, nullable=False),
        Column("archived_at", BigInteger),
        Column("version", Integer, nullable=False),
        Column("name", Text, nullable=False),
        Column("instruction", Text, nullable=False),
        Column("json_schema", Text, nullable=False),
        Column("completion_tags_selector", Text, nullable=False),
        Column("reviewers_wanted", Integer, nullable=False),
        Column("blind", Boolean, nullable=False),
        Column("fill_created_at", BigInteger),
        Column("fill_id", Text),
        sqlite_with_rowid=False,
    )
    Index("feedback_tasks_by_time", feedback_tasks.c.organization_id, feedback_tasks.c.created_at)
    Table(
        "feedback_task_versions",
        metadata,
        Column("task_id", Text, primary_key=True, nullable=False),
        Column("version", Integer, primary_key=True, nullable=False, autoincrement=False),
        Column("created_at", BigInteger, nullable=False),
        Column("instruction", Text, nullable=False),
        Column("json_schema", Text, nullable=False),
        sqlite_with_rowid=False,
    )
    feedback = Table(
        "feedback",
        metadata,
        Column("id", Text, primary_key=True, nullable=False),
        Column("organization_id", Text, nullable=False),
        Column("task_id", Text, nullable=False),
        Column("task_version", Integer, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("updated_at", BigInteger, nullable=False),
        Column("version", Integer, nullable=False),
        Column("reviewer", Text, nullable=False),
        Column("reviewer_kind", Text, nullable=False),
        Column("json_values", Text, nullable=False),
        Column("comment", Text, nullable=False),
        Column("rationale", Text, nullable=False),
        Column("corrected_output", Text, nullable=False),
        Column("idempotency_key", Text),
        Column("idempotency_hash", LargeBinary),
    )
    Index("feedback_by_time", feedback.c.organization_id, feedback.c.created_at)
    Index("feedback_by_task", feedback.c.task_id, feedback.c.created_at)
    Index(
        "feedback_by_idempotency_key",
        feedback.c.organization_id,
        feedback.c.idempotency_key,
        unique=True,
        sqlite_where=text("idempotency_key IS NOT NULL"),
        postgresql_where=text("idempotency_key IS NOT NULL"),
    )
    Table(
        "feedback_versions",
        metadata,
        Column("feedback_id", Text, primary_key=True, nullable=False),
        Column("version", Integer, primary_key=True, nullable=False, autoincrement=False),
        Column("created_at", BigInteger, nullable=False),
        Column("json_values", Text, nullable=False),
        Column("comment", Text, nullable=False),
        Column("rationale", Text, nullable=False),
        Column("corrected_output", Text, nullable=False),
        sqlite_with_rowid=False,
    )
    feedback_completions = Table(
        "feedback_completions",
        metadata,
        Column("task_id", Text, primary_key=True, nullable=False),
        Column("completion_id", Text, primary_key=True, nullable=False),
        Column("reviewer", Text, primary_key=True, nullable=False),
        Column("feedback_id", Text, primary_key=True, nullable=False),
        sqlite_with_rowid=False,
    )
    Index("feedback_completions_by_completion", feedback_completions.c.completion_id)
    Index("feedback_completions_by_feedback", feedback_completions.c.feedback_id)
    feedback_queue = Table(
        "feedback_queue",
        metadata,
        Column("task_id", Text, primary_key=True, nullable=False),
        Column("completion_id", Text, primary_key=True, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("model", Text, nullable=False),
        Column("response_model", Text),
        Column("mean_logprob", Float),
        Column("place", BigInteger, nullable=False),
        Column("reviews", Integer, nullable=False),
        Column("open", Boolean, nullable=False),
        sqlite_with_rowid=False,
    )
    for name, column in (
        ("feedback_queue_by_time", feedback_queue.c.created_at),
        ("feedback_queue_by_logprob", feedback_queue.c.mean_logprob),
        ("feedback_queue_by_place", feedback_queue.c.place),
    ):
        _partial_index(name, [feedback_queue.c.task_id, column], where="open = 1")
    Table(
        "feedback_leases",
        metadata,
        Column("task_id", Text, primary_key=True, nullable=False),
        Column("completion_id", Text, primary_key=True, nullable=False),
        Column("reviewer", Text, primary_key=True, nullable=False),
        Column("expires_at", BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    Table(
        "feedback_skips",
        metadata,
        Column("task_id", Text, primary_key=True, nullable=False),
        Column("completion_id", Text, primary_key=True, nullable=False),
        Column("reviewer", Text, primary_key=True, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("reason", Text, nullable=False),
        sqlite_with_rowid=False,
    )
    metadata.create_all(connection)


@migration
def keep_test_runs(connection: Connection) -> None:
    metadata = MetaData()
    test_runs = Table(
        "test_runs",
        metadata,
        Column("id", Text, primary_key=True, nullable=False),
        Column("organization_id", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("upload_hash", Text, nullable=False),
        Column("upload_expires_at", BigInteger, nullable=False),
        Column("reported_at", BigInteger),
        Column("report", LargeBinary),
    )
    Index("test_runs_by_time", test_runs.c.organization_id, test_runs.c.created_at)
    metadata.create_all(connection)


@migration
def note_callers_who_left(connection: Connection) -> None:
    _insert_column(connection, "caller_left_ms FLOAT", before="attempts")


@migration
def find_signed_calls(connection: Connection) -> None:
    metadata = MetaData()
    signed_calls = Table(
        "signed_calls",
        metadata,
        Column("organization_id", Text, primary_key=True, nullable=False),
        Column("call_id", Text, primary_key=True, nullable=False),
        Column("completion_id", Text, primary_key=True, nullable=False),
        sqlite_with_rowid=False,
    )
    Index("signed_calls_by_completion", signed_calls.c.completion_id)
    metadata.create_all(connection)


@migration
def hide_models_from_reviewers(connection: Connection) -> None:
    column = "hide_model BOOLEAN DEFAULT 0 NOT NULL"
    connection.execute(text(f"ALTER TABLE feedback_tasks ADD COLUMN {column}"))


@migration
def name_owners_and_reported_starts(connection: Connection) -> None:
    columns = "start_reported BOOLEAN DEFAULT 0 NOT NULL, \n\towner TEXT"
    _insert_column(connection, columns, before="encoding")
    page = text(
        "SELECT rowid, call_site FROM completions "
        "WHERE call_site IS NOT NULL AND rowid > :after ORDER BY rowid LIMIT 1000"
    )
    change = text(
        "UPDATE completions SET call_site = :site, start_reported = :is_reported WHERE rowid = :of"
    )
    after = -1
    while rows := connection.execute(page, {"after": after}).all():
        after = rows[-1].rowid
        changes = []
        for row in rows:
            site = json.decode(row.call_site)
            is_reported = "started" in site.pop("told", ())
            kept = json.encode_plain(site).decode() if site else None
            changes.append({"of": row.rowid, "is_reported": is_reported, "site": kept})
        connection.execute(change, changes)


@migration
def bind_keys_to_tasks(connection: Connection) -> None:
    connection.execute(text("ALTER TABLE keys ADD COLUMN task_id TEXT"))


@migration
def show_completions_without_their_bodies(connection: Connection) -> None:
    """The values of old completions are found step by step, while others are answered."""
    columns = "p_mean FLOAT, \n\tp_least FLOAT, \n\tkey_id TEXT, \n\tpreview TEXT"
    _insert_column(connection, columns, before="attempts")
    metadata = MetaData()
    backfills = Table(
        "backfills",
        metadata,
        Column("name", Text, primary_key=True, nullable=False),
        Column("after_id", Text, nullable=False),
        sqlite_with_rowid=False,
    )
    metadata.create_all(connection)
    if connection.execute(text("SELECT 1 FROM completions LIMIT 1")).first() is not None:
        connection.execute(backfills.insert().values(name="derived", after_id=""))


@migration
def roll_up_completions(connection: Connection) -> None:
    """The rollups are filled in steps once the store is open, because there may be much to read."""
    metadata = MetaData()
    Table(
        "rollups",
        metadata,
        Column("organization_id", Text, primary_key=True, nullable=False),
        Column("span", Text, primary_key=True, nullable=False),
        Column("begin_at", BigInteger, primary_key=True, nullable=False, autoincrement=False),
        Column("model", Text, primary_key=True, nullable=False),
        Column("provider", Text, primary_key=True, nullable=False),
        Column("tally", Text, nullable=False),
    )
    Table(
        "rollup_changes",
        metadata,
        Column("id", Integer, primary_key=True, nullable=False),
        Column("organization_id", Text, nullable=False),
        Column("begin_at", BigInteger, nullable=False),
        Column("model", Text, nullable=False),
        Column("provider", Text, nullable=False),
        Column("tally", Text, nullable=False),
    )
    Table(
        "rollup_fills",
        metadata,
        Column("organization_id", Text, primary_key=True, nullable=False),
        Column("until_at", BigInteger, nullable=False),
        Column("begun_at", BigInteger, nullable=False),
        Column("oldest_at", BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    metadata.create_all(connection)
    connection.execute(
        text(
            "INSERT INTO rollup_fills "
            "SELECT organization_id, max(created_at) + 1, max(created_at) + 1, min(created_at) "
            "FROM completions GROUP BY organization_id"
        )
    )


@migration
def tell_kinds_of_tasks_apart(connection: Connection) -> None:
    column = "kind TEXT DEFAULT 'grade' NOT NULL"
    connection.execute(text(f"ALTER TABLE feedback_tasks ADD COLUMN {column}"))


def _insert_column(connection: Connection, column: str, *, before: str) -> None:
    """Add a column to completions. The bodies must stay the last columns."""
    schema = text("SELECT sql FROM sqlite_master WHERE tbl_name = 'completions' AND sql <> ''")
    [table, *indexes] = connection.scalars(schema).all()
    columns = connection.execute(text("PRAGMA table_info(completions)"))
    kept = ", ".join(f'"{each.name}"' for each in columns)
    head, mark, tail = table.partition(f"\n\t{before} ")
    assert mark, f"completions has a column {before}"
    connection.execute(text("ALTER TABLE completions RENAME TO completions_before"))
    connection.execute(text(f"{head}\n\t{column}, {mark}{tail}"))
    connection.execute(
        text(f"INSERT INTO completions ({kept}) SELECT {kept} FROM completions_before")  # noqa: S608
    )
    connection.execute(text("DROP TABLE completions_before"))
    for index in indexes:
        connection.execute(text(index))


def _partial_index(name: str, columns: Sequence[Column[Any]], *, where: str) -> Index:
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


def _apply(connection: Connection, *, number: int, step: Migration) -> None:
    with transaction(connection):
        step(connection)
        connection.execute(
            tables.migrations.insert().values(
                number=number, name=step.__name__, applied_at=current_time_us()
            )
        )
