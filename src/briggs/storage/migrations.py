"""The history of the tables, as a list of migrations. They run when a database is opened.

What a table is stands in `tables.py` only. A migration brings old tables to what they are today,
whatever their version, and moves what they contain. For a new database it creates them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import (
    Connection,
    MetaData,
    Table,
    bindparam,
    func,
    inspect,
    literal,
    select,
    tuple_,
    update,
)

from briggs.storage import feedback_counts, spending, tables
from briggs.storage.database import database_of
from briggs.storage.errors import StoreError, StoreTooNew
from briggs.storage.tables import backfills, completions, organizations, rollup_fills, sessions
from briggs.types.completions import current_time_us

PAGE_ROWS = 1000

Migration = Callable[[Connection], None]
MIGRATIONS: list[Migration] = []


def migration(function: Migration) -> Migration:
    """Append to the list. A released migration keeps its place and its name."""
    MIGRATIONS.append(function)
    return function


def migrate(connection: Connection, *, migrations: Sequence[Migration] = MIGRATIONS) -> list[str]:
    """Bring the database up to date, one transaction per step. Returns the steps that ran here.

    Another process may do the same at the same time. Each step runs in one of them.
    """
    with database_of(connection).migration(connection):
        tables.migrations.create(connection, checkfirst=True)
    applied = set(connection.scalars(select(tables.migrations.c.number)))
    if applied and max(applied) > len(migrations):
        raise StoreTooNew(
            f"this database is at version {max(applied)}, but this Briggs knows {len(migrations)}: "
            "install the newer Briggs, or restore a copy made before the upgrade"
        )
    done = []
    for number, step in enumerate(migrations, start=1):
        if number not in applied and _apply(connection, number=number, step=step):
            done.append(step.__name__)
    return done


def require_current(connection: Connection, *, name: str) -> None:
    """Refuse a database whose tables are not those of this Briggs, for whoever reads it as it is.

    Raises `StoreError`, which calls it by its name, and `StoreTooNew`.
    """
    if not inspect(connection).has_table(tables.migrations.name):
        raise StoreError(f"{name} has no tables of Briggs: name the folder or address of a record")
    version = connection.scalar(select(func.max(tables.migrations.c.number))) or 0
    if version > len(MIGRATIONS):
        raise StoreTooNew(
            f"{name} is at version {version}, but this Briggs knows {len(MIGRATIONS)}: "
            "use the newer Briggs"
        )
    if version < len(MIGRATIONS):
        raise StoreError(
            f"{name} is at version {version}, and this Briggs has {len(MIGRATIONS)}: start "
            "`briggs serve` of this version with it once, which brings it up to date"
        )


@migration
def record_completions(connection: Connection) -> None:
    reshape(connection, completions)


@migration
def find_completions_by_tag_and_metadata(connection: Connection) -> None:
    reshape(connection, tables.completion_tags)
    reshape(connection, tables.completion_metadata)


@migration
def remember_where_deleted_completions_stood(connection: Connection) -> None:
    reshape(connection, tables.deleted_completions)


@migration
def compress_bodies_later(_: Connection) -> None:
    """Its indexes come with the next change of their table."""


@migration
def recognise_keys(connection: Connection) -> None:
    reshape(connection, tables.keys)


@migration
def probe_a_store_that_failed(connection: Connection) -> None:
    reshape(connection, tables.probes)


@migration
def record_attempts_violations_and_prices(connection: Connection) -> None:
    """Until now only the number of attempts was recorded, so their details stay unknown."""
    reshape(connection, completions, forgotten=["attempts"])


@migration
def find_completions_by_rule(connection: Connection) -> None:
    reshape(connection, tables.completion_rules)


@migration
def tell_organizations_apart(connection: Connection) -> None:
    reshape(connection, organizations)
    reshape(connection, sessions)
    reshape(connection, tables.keys)
    connection.execute(
        organizations.insert().values(
            id="default", slug="default", name="Default", created_at=current_time_us()
        )
    )
    columns = completions.c
    named = (
        select(columns.organization_id, columns.session_id, func.min(columns.created_at))
        .where(columns.session_id.is_not(None))
        .group_by(columns.organization_id, columns.session_id)
    )
    connection.execute(sessions.insert().from_select(list(sessions.columns), named))


@migration
def grade_completions(connection: Connection) -> None:
    for table in (
        tables.feedback_tasks,
        tables.feedback_task_versions,
        tables.feedback,
        tables.feedback_versions,
        tables.feedback_completions,
        tables.feedback_queue,
        tables.feedback_leases,
        tables.feedback_skips,
    ):
        reshape(connection, table)


@migration
def keep_test_runs(connection: Connection) -> None:
    reshape(connection, tables.test_runs)


@migration
def note_callers_who_left(connection: Connection) -> None:
    reshape(connection, completions)


@migration
def find_signed_calls(connection: Connection) -> None:
    reshape(connection, tables.signed_calls)


@migration
def hide_models_from_reviewers(connection: Connection) -> None:
    reshape(connection, tables.feedback_tasks)


@migration
def name_owners_and_reported_starts(connection: Connection) -> None:
    reshape(connection, completions)
    columns = completions.c
    place = tuple_(columns.organization_id, columns.id)
    page = (
        select(columns.organization_id, columns.id, columns.call_site)
        .where(columns.call_site.is_not(None))
        .order_by(columns.organization_id, columns.id)
        .limit(PAGE_ROWS)
    )
    change = (
        update(completions)
        .where(columns.organization_id == bindparam("of_owner"), columns.id == bindparam("of"))
        .values(call_site=bindparam("site"), start_reported=bindparam("is_reported"))
    )
    after = ("", "")
    while rows := connection.execute(page.where(place > after)).all():
        after = (rows[-1].organization_id, rows[-1].id)
        changes = []
        for row in rows:
            is_reported = "started" in row.call_site.pop("told", ())
            changes.append(
                {
                    "of_owner": row.organization_id,
                    "of": row.id,
                    "is_reported": is_reported,
                    "site": row.call_site,
                }
            )
        connection.execute(change, changes)


@migration
def bind_keys_to_tasks(connection: Connection) -> None:
    reshape(connection, tables.keys)


@migration
def show_completions_without_their_bodies(connection: Connection) -> None:
    """The values of old completions are found step by step, while others are answered."""
    reshape(connection, completions)
    reshape(connection, backfills)
    if connection.execute(select(literal(1)).select_from(completions).limit(1)).first() is not None:
        connection.execute(backfills.insert().values(name="derived", after_id=""))


@migration
def roll_up_completions(connection: Connection) -> None:
    """The rollups are filled in steps once the store is open, because there may be much to read."""
    for table in (tables.rollups, tables.rollup_changes, rollup_fills):
        reshape(connection, table)
    columns = completions.c
    end = func.max(columns.created_at) + 1
    uncounted = select(columns.organization_id, end, end, func.min(columns.created_at))
    connection.execute(
        rollup_fills.insert().from_select(
            list(rollup_fills.columns), uncounted.group_by(columns.organization_id)
        )
    )


@migration
def tell_kinds_of_tasks_apart(connection: Connection) -> None:
    reshape(connection, tables.feedback_tasks)


@migration
def ask_reviewers_again(connection: Connection) -> None:
    reshape(connection, tables.feedback_tasks)


def reshape(
    connection: Connection,
    table: Table,
    *,
    forgotten: Sequence[str] = (),
    owner: tuple[Table, str] | None = None,
) -> None:
    database_of(connection).reshape(connection, table, forgotten=forgotten, owner=owner)


@migration
def name_lists_of_completions(connection: Connection) -> None:
    reshape(connection, tables.views)


@migration
def filter_and_sort_completions_by_an_index(connection: Connection) -> None:
    """Takes some seconds for a million completions."""
    reshape(connection, completions)


@migration
def end_sessions_on_the_server(connection: Connection) -> None:
    """It did so in a table of what had ended, which `sign_ins` replaces."""
    reshape(connection, tables.keys)


@migration
def find_the_retries_of_a_call(connection: Connection) -> None:
    reshape(connection, completions)


@migration
def sum_what_was_spent(connection: Connection) -> None:
    """Takes about a second for a million completions of this month."""
    reshape(connection, tables.keys)
    reshape(connection, tables.rollup_changes)
    reshape(connection, tables.spending)
    spending.fill(connection)


@migration
def keep_bodies_for_a_time(connection: Connection) -> None:
    """Takes some seconds for a million completions."""
    reshape(connection, completions)


@migration
def tell_of_alerts(connection: Connection) -> None:
    reshape(connection, tables.alert_states)
    reshape(connection, tables.deliveries)


@migration
def keep_datasets(connection: Connection) -> None:
    reshape(connection, tables.datasets)
    reshape(connection, tables.dataset_samples)


@migration
def learn_from_grades(connection: Connection) -> None:
    for table in (tables.judges, tables.judge_versions, tables.judgements, tables.judge_runs):
        reshape(connection, table)


@migration
def count_queues(connection: Connection) -> None:
    """Takes a tenth of a second for a million places in queues."""
    reshape(connection, tables.feedback_counts)
    feedback_counts.create_all(connection)


@migration
def run_evals(connection: Connection) -> None:
    reshape(connection, tables.eval_runs)
    reshape(connection, tables.eval_answers)


@migration
def find_words_by_an_index(connection: Connection) -> None:
    """The words of old completions are found step by step, while others are answered."""
    reshape(connection, tables.search_segments)


@migration
def lead_every_key_with_the_organization(connection: Connection) -> None:
    """Takes about a minute for a million completions, and as much room as they have."""
    for table in (
        completions,
        tables.deleted_completions,
        tables.signed_calls,
        tables.rollup_changes,
        tables.feedback_tasks,
        tables.feedback,
        tables.test_runs,
        tables.views,
        tables.deliveries,
        tables.probes,
        backfills,
    ):
        reshape(connection, table)
    reshape(connection, tables.feedback_versions, owner=(tables.feedback, "feedback_id"))
    for table in (
        tables.feedback_task_versions,
        tables.feedback_completions,
        tables.feedback_queue,
        tables.feedback_leases,
        tables.feedback_skips,
    ):
        reshape(connection, table, owner=(tables.feedback_tasks, "task_id"))


@migration
def watch_drift(connection: Connection) -> None:
    for table in (tables.drift_watches, tables.drift_rounds, tables.drift_changes):
        reshape(connection, table)


@migration
def filter_completions_by_anything_in_an_index(connection: Connection) -> None:
    """Takes some seconds for a million completions."""
    reshape(connection, completions)


@migration
def store_histories_once(connection: Connection) -> None:
    """Older bodies stay as they are."""
    reshape(connection, tables.pieces)


@migration
def copy_records(connection: Connection) -> None:
    reshape(connection, tables.copied_from)


@migration
def name_prompts(connection: Connection) -> None:
    for table in (tables.prompts, tables.prompt_versions, tables.prompt_completions):
        reshape(connection, table)


@migration
def share_a_database_between_nodes(connection: Connection) -> None:
    for table in (
        tables.nodes,
        tables.leases,
        tables.changes,
        tables.node_messages,
        tables.allowances,
    ):
        reshape(connection, table)
    connection.execute(tables.changes.insert().values(name="record", version=0))


@migration
def suggest_to_reviewers(connection: Connection) -> None:
    reshape(connection, tables.feedback_tasks)
    reshape(connection, tables.feedback)


@migration
def find_long_texts_by_what_fits_into_an_index(connection: Connection) -> None:
    """Takes some seconds for a million completions on PostgreSQL, and nothing on SQLite."""
    for table in (
        completions,
        sessions,
        tables.completion_tags,
        tables.completion_metadata,
        tables.signed_calls,
    ):
        reshape(connection, table)


@migration
def tell_the_lake_what_to_delete(connection: Connection) -> None:
    reshape(connection, tables.lake_deletions)


@migration
def keep_completions_in_partitions(connection: Connection) -> None:
    """Moves no row, on PostgreSQL, and does nothing on SQLite."""
    reshape(connection, completions)


@migration
def ask_first_what_tells_most(connection: Connection) -> None:
    """Takes some seconds for a million places in queues."""
    for table in (
        tables.feedback_queue,
        tables.feedback_leases,
        tables.feedback_tasks,
        tables.feedback,
    ):
        reshape(connection, table)


@migration
def watch_drift_of_traffic(connection: Connection) -> None:
    reshape(connection, tables.drift_watches)


@migration
def count_the_terms_of_keepers(connection: Connection) -> None:
    reshape(connection, tables.leases)


@migration
def drop_minutes_that_may_lack_some(connection: Connection) -> None:
    """From now on, an hour has all of its minutes. What earlier versions dropped is not known."""
    connection.execute(tables.rollups.delete().where(tables.rollups.c.span == "minute"))


@migration
def tell_when_nodes_were_seen(connection: Connection) -> None:
    reshape(connection, tables.nodes)


@migration
def keep_what_hours_have(connection: Connection) -> None:
    """The keeper reads them in the background."""
    reshape(connection, tables.hours)


@migration
def mark_changes_of_feedback(connection: Connection) -> None:
    reshape(connection, tables.feedback_marks)


@migration
def sign_in_on_every_server(connection: Connection) -> None:
    """Whoever was signed in signs in once more. The table of what had ended says nothing then."""
    reshape(connection, tables.keys)
    reshape(connection, tables.sign_ins)
    Table("ended_sessions", MetaData()).drop(connection, checkfirst=True)


@migration
def count_seeded_repeats(connection: Connection) -> None:
    for table in (tables.drift_rounds, tables.drift_changes):
        reshape(connection, table)


@migration
def sum_up_what_reviewers_say(connection: Connection) -> None:
    """What was said until now is counted in the background. Takes a second for a million grades."""
    for table in (
        tables.feedback,
        tables.feedback_marks,
        tables.feedback_together,
        tables.feedback_sums,
    ):
        reshape(connection, table)


@migration
def sum_up_the_words_of_many_segments(connection: Connection) -> None:
    """The keeper sums up old segments in the background."""
    reshape(connection, tables.search_summaries)


def read_made_at(connection: Connection) -> int:
    """When this database was made, in Unix microseconds: what tells it from any other."""
    first = select(tables.migrations.c.applied_at).where(tables.migrations.c.number == 1)
    return int(connection.execute(first).scalar_one())


def _apply(connection: Connection, *, number: int, step: Migration) -> bool:
    """Run a step. Returns False if another process has just run it."""
    this = select(tables.migrations.c.number).where(tables.migrations.c.number == number)
    with database_of(connection).migration(connection):
        if connection.scalar(this) is not None:
            return False
        step(connection)
        connection.execute(
            tables.migrations.insert().values(
                number=number, name=step.__name__, applied_at=current_time_us()
            )
        )
    return True
