"""Verifying a record: what is damaged is found, and nothing else."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Executable, delete, literal_column, select, update

from briggs.storage import Store
from briggs.storage.errors import StoreError
from briggs.storage.reading import open_reader
from briggs.storage.recounts import open_and_recount
from briggs.storage.tables import (
    completion_metadata,
    completion_tags,
    completions,
    feedback_counts,
    feedback_queue,
    feedback_sums,
    feedback_tasks,
    feedback_together,
    migrations,
    pieces,
    rollup_changes,
    rollups,
    search_segments,
    search_summaries,
    sessions,
)
from briggs.storage.verify import PAGE_ROWS, RecordReader, verify
from briggs.types.completions import Completion
from briggs.types.feedback import Feedback, FeedbackTask
from tests.storage.conftest import change_rows, read_rows
from tests.storage.histories import create_history, list_pieces
from tests.storage.records import completions as any_completions
from tests.storage.records import finished
from tests.storage.test_feedback_fill import create_task
from tests.storage.test_search_segments import create_segment, create_summary
from tests.waiting import until

Open = Callable[[], Any]
OURS = completions.c.organization_id == "default"


@pytest.fixture
def problems(address: str | None, tmp_path: Path, store: Store) -> Callable[[], list[str]]:
    """What is wrong with the record of this test's store, which is open."""

    def find() -> list[str]:
        with open_reader(tmp_path / "data", address=address) as reader:
            return find_all(reader)

    return find


def find_all(reader: RecordReader) -> list[str]:
    return [str(each) for each in verify(reader, show=lambda what, share: None)]


async def fill(store: Store) -> Completion:
    """Record calls of many kinds, more than a page of them. Returns one of them."""
    await create_task(store, "a")
    for turn in range(1, 9):
        request = create_history("agent", turn)
        await store.settle(finished(request=request, tags=["agent"], session_id="s"))
    for number in range(PAGE_ROWS + 1):
        await store.settle(
            finished(tags=["a", f"\ud83d\0{number % 7}"], metadata={"\0": "\udfff"}, seed=2**70)
        )
    await store.settle(finished(status="failed", failure_kind="odd", response=None))
    await store.settle(finished(request=b"\xff" * 200_000))
    await store.start(finished(status="started", tags=["a"]))
    deleted = finished(tags=["a"])
    await store.settle(deleted)
    await store.completions.delete(deleted.id, organization_id="default")
    one = finished(tags=["one", "a"], metadata={"key": "value"}, session_id="alone")
    await store.settle(one)
    assert await list_pieces(store), "a history was stored in pieces"
    return one


async def test_a_healthy_record(store: Store, problems: Callable[[], list[str]]) -> None:
    """Nothing is wrong with a record that is in use, whatever calls it has."""
    await fill(store)
    assert problems() == []


@settings(max_examples=15)
@given(recorded=st.lists(any_completions(), max_size=4))
async def test_any_values(recorded: Sequence[Completion]) -> None:
    """Values that a database cannot keep as they are do not look like damage."""
    with tempfile.TemporaryDirectory() as folder:
        store = await Store.open(Path(folder))
        try:
            for each in recorded:
                await store.settle(each)
            with open_reader(Path(folder)) as reader:
                assert find_all(reader) == []
        finally:
            await store.close()


def change(**values: Any) -> Callable[[Completion], list[Executable]]:
    return lambda one: [update(completions).where(OURS, completions.c.id == one.id).values(values)]


def drop(*tables: Any, **values: Any) -> Callable[[Completion], list[Executable]]:
    """Delete the rows that have these values."""
    return lambda one: [
        delete(table).where(
            table.c.organization_id == "default",
            *(table.c[name] == value for name, value in values.items()),
        )
        for table in tables
    ]


DAMAGES: dict[str, tuple[Callable[[Completion], list[Executable]], str]] = {
    "a missing tag": (drop(completion_tags, tag="one"), "completion_tags has no row ('one'"),
    "missing metadata": (
        drop(completion_metadata, key="key"),
        "completion_metadata has no row ('key', 'value'",
    ),
    "a missing session": (drop(sessions, id="alone"), "sessions has no row ('alone'"),
    "a tag too many": (
        change(tags=["a"]),
        "completion_tags has a row ('one'",
    ),
    "a tag of nobody": (
        lambda one: [
            completion_tags.insert().values(
                organization_id="default", tag="x", created_at=1, completion_id="none"
            )
        ],
        "completion_tags has a row ('x', 1, 'none')",
    ),
    "values that are no JSON": (change(tags=literal_column("'{'")), "cannot be read"),
    "an unknown status": (change(status="done"), "has the status 'done'"),
    "an end that is still answered": (change(owner="1:2:3"), "a process still answers it"),
    "rollups that are gone": (drop(rollups, rollup_changes), "run `briggs rollups rebuild`"),
    "a piece that is gone": (drop(pieces), "needs a piece that is missing"),
    "a schema that is no JSON": (
        lambda one: [
            update(feedback_tasks)
            .where(feedback_tasks.c.organization_id == "default")
            .values(json_schema=literal_column("'{'"))
        ],
        "feedback_tasks",
    ),
    "a count that is wrong": (
        lambda one: [
            update(feedback_counts)
            .where(feedback_counts.c.organization_id == "default")
            .values(matching=7)
        ],
        "but 7 and",
    ),
    "a place without its completion": (
        lambda one: [
            update(feedback_queue)
            .where(
                feedback_queue.c.organization_id == "default",
                feedback_queue.c.completion_id == one.id,
            )
            .values(completion_id="none")
        ],
        "has completion none, which is not there",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
async def test_damage(store: Store, problems: Callable[[], list[str]], name: str) -> None:
    """Each kind of damage is found, and said what to do about."""
    one = await fill(store)
    damage, expected = DAMAGES[name]
    await change_rows(store, *damage(one))
    found = problems()
    assert any(expected in each for each in found), found
    assert len(found) < PAGE_ROWS, "what is sound is not called damaged"


async def test_damaged_words(store: Store, problems: Callable[[], list[str]]) -> None:
    """Of a segment of the index, and of a summary, or a summary of segments that are others."""
    segments = [create_segment(["word0"]), create_segment(["word1"], begin_at=10)]
    summary = create_summary(*segments)
    for table, some in ((search_segments, segments), (search_summaries, [summary])):
        for each in some:
            values = msgspec.structs.asdict(each)
            await change_rows(store, table.insert().values(organization_id="default", **values))
    assert problems() == []
    for table, change, count in (
        (search_summaries, {"words": summary.words.replace(b"word1", b"word2")}, 1),
        (search_segments, {"words": segments[0].words.replace(b"word0", b"word2")}, 2),
    ):
        ours = table.c.organization_id == "default", table.c.begin_at == 0
        await change_rows(store, update(table).where(*ours).values(change))
        found = problems()
        assert len(found) == count
        assert all("run `briggs search rebuild`" in each for each in found)
    gone = search_segments.c.organization_id == "default", search_segments.c.begin_at == 10
    await change_rows(store, update(search_summaries).values(msgspec.structs.asdict(summary)))
    await change_rows(store, delete(search_segments).where(*gone))
    assert any("its segments are others" in each for each in problems())


async def test_a_flipped_byte(store: Store, problems: Callable[[], list[str]]) -> None:
    """One byte of a body is enough, wherever it is."""
    one = await fill(store)
    this = (OURS, completions.c.id == one.id)
    [(stored,)] = read_rows(store, select(completions.c.request).where(*this))
    for place in (len(stored) // 2, len(stored) - 1):
        damaged = bytearray(stored)
        damaged[place] ^= 1
        await change_rows(store, *change(request=bytes(damaged))(one))
        [found] = problems()
        assert found.startswith(f"a body of completion {one.id} cannot be read")


async def test_wrong_uses(
    store: Store, problems: Callable[[], list[str]], address: str | None, tmp_path: Path
) -> None:
    """Of each piece that is used more or less often than is noted, until they are counted again."""
    await fill(store)
    right = await list_pieces(store)
    one, two, *_ = sorted(right)
    ours = pieces.c.organization_id == "default"
    wrong = {one: right[one] + 1, two: 0}
    await change_rows(
        store,
        *(
            update(pieces).where(ours, pieces.c.hash == each).values(uses=n)
            for each, n in wrong.items()
        ),
        pieces.insert().values(organization_id="default", hash=b"\1" * 20, uses=3, content=b""),
    )
    found = [each for each in problems() if "are counted" in each]
    assert len(found) == 3
    assert any(
        f"{one.hex()} is used {right[one]} times, and {wrong[one]} are" in each for each in found
    )
    assert all("run `briggs store recount`" in each for each in found)
    await store.close()
    folder = tmp_path / "data"
    assert open_and_recount(folder, address=address, password=None) == (3, 0)
    with open_reader(folder, address=address) as reader:
        assert find_all(reader) == []
    assert open_and_recount(folder, address=address, password=None) == (0, 0)


async def grade_one(store: Store) -> tuple[FeedbackTask, Completion]:
    """A completion that two reviewers graded for a task."""
    task, one = await create_task(store, "a"), finished()
    await store.settle(one)
    for reviewer in ("ann", "ben"):
        given = Feedback(
            organization_id="default",
            task_id=task.id,
            task_version=1,
            reviewer=reviewer,
            json_values={"right": True},
            completion_ids=[one.id],
        )
        await store.feedback.create(given, task=task)
    return task, one


async def test_wrong_sums_of_feedback(
    store: Store, problems: Callable[[], list[str]], address: str | None, tmp_path: Path
) -> None:
    """What is not counted as reviewers said it is found, until it is counted again."""
    task, one = await grade_one(store)
    assert problems() == []
    ours = feedback_sums.c.organization_id == "default"
    await change_rows(store, update(feedback_sums).where(ours).values(total=7))
    [found] = problems()
    assert found.startswith(f"in task {task.id}, the sums of version 1 are not")
    assert found.endswith("run `briggs store recount`")
    await change_rows(store, delete(feedback_together).where(feedback_together.c.version == 1))
    assert f"in task {task.id}, what reviewers said of completion {one.id}" in problems()[0]
    await store.close()
    folder = tmp_path / "data"
    assert open_and_recount(folder, address=address, password=None) == (0, 1)
    with open_reader(folder, address=address) as reader:
        assert find_all(reader) == []
    assert open_and_recount(folder, address=address, password=None) == (0, 0)


async def test_sums_that_cannot_be_read(
    store: Store, problems: Callable[[], list[str]], address: str | None, tmp_path: Path
) -> None:
    """What the report says to do about a damaged count works."""
    task, one = await grade_one(store)
    this = feedback_together.c.completion_id == one.id
    await change_rows(store, update(feedback_together).where(this).values(counts=b"damaged"))
    assert problems() == [
        f"in task {task.id}, what is counted of completion {one.id} cannot be read: "
        "stop the servers and run `briggs store recount`"
    ]
    await store.close()
    folder = tmp_path / "data"
    assert open_and_recount(folder, address=address, password=None) == (0, 1)
    with open_reader(folder, address=address) as reader:
        assert find_all(reader) == []


async def test_a_wrong_sum(store: Store, problems: Callable[[], list[str]]) -> None:
    """A rollup that says something else than its rows is found until they are counted again."""
    await fill(store)
    waiting = select(rollup_changes).where(rollup_changes.c.organization_id == "default")
    await until(lambda: not read_rows(store, waiting))
    ours = rollups.c.organization_id == "default"
    await change_rows(store, update(rollups).where(ours).values(tally='{"calls":1}'))
    found = problems()
    assert any("rollups of the minute" in each for each in found)
    assert any("rollups of the hour" in each for each in found)
    assert all("run `briggs rollups rebuild`" in each for each in found)
    await store.rollups.rebuild(organization_id="default")
    await until(lambda: not problems())


def test_no_record(tmp_path: Path) -> None:
    """A folder without a database is not called sound, and stays as it is."""
    with pytest.raises(StoreError, match="has no database"), open_reader(tmp_path):
        pass
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("content", [b"garbage!" * 1024, b"SQLite format 3\0" + bytes(4080)])
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes) -> None:
    """It is a problem like any other, with what to do about it."""
    (tmp_path / "briggs.db").write_bytes(content)
    with open_reader(tmp_path) as reader:
        [found] = find_all(reader)
    assert found.startswith("the database cannot be read further (")
    assert found.endswith("): restore a backup")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (migrations.insert().values(number=9999, name="later", applied_at=0), "use the newer"),
        (migrations.delete().where(migrations.c.number > 30), "start `briggs serve` of this"),
    ],
    ids=["newer", "older"],
)
async def test_a_record_of_another_version(
    store: Store, problems: Callable[[], list[str]], change: Any, said: str
) -> None:
    """It is not called damaged, so that nobody restores a backup over it after an upgrade."""
    await change_rows(store, change)
    with pytest.raises(StoreError, match=said):
        problems()
