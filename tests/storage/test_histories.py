"""What bodies repeat is stored once, and every body comes back byte for byte."""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from briggs.storage import Query, Store, bodies, compression, histories, parts
from briggs.storage.database import database_of
from briggs.storage.parts import find_parts
from briggs.storage.tables import completions, pieces
from briggs.types.completion_filters import parse_completion_filter
from briggs.types.completions import Completion, current_time_us
from briggs.types.retention import Term
from tests.files import find_bodies, read_bodies, read_pieces
from tests.storage.conftest import OpenStore, change_rows, read_rows
from tests.storage.histories import check_pieces, create_history, list_pieces
from tests.storage.records import finished
from tests.storage.test_deletion import erased
from tests.waiting import until

DOCS = Path(__file__).parents[2] / "docs"

SPACES = st.sampled_from(["", " ", "\n  ", "\t"])
ELEMENTS = st.sampled_from(
    [
        '{"role": "user", "content": "Why?"}',
        '{"role":"assistant","content":"\\u00e9 \\"because\\" \\\\"}',
        '{"content": "你好 ' + "0123456789" * 6 + '", "role":"tool"}',
        "{}",
        '{"deep": [[{"a": [1, 2, {"b": "]}"}]}]]}',
        '"text"',
        "-1.50e+3",
        '{"unknown": "\ud83d"}',
    ]
)
NAMES = st.sampled_from(["messages", "tools", "input", 'odd \\" name', "messages"])


@st.composite
def arrays(draw: st.DrawFn) -> str:
    space = draw(SPACES)
    return f"[{space}" + f"{space},{space}".join(draw(st.lists(ELEMENTS, max_size=9))) + f"{space}]"


@st.composite
def objects(draw: st.DrawFn) -> bytes:
    """JSON that may repeat some of what others have, whole or cut off."""
    space = draw(SPACES)
    values = st.sampled_from(['"gpt-4o"', '"' + "long text, " * 9 + '"', "null", "17"]) | arrays()
    members = draw(st.lists(st.tuples(NAMES, values), max_size=5))
    text = f",{space}".join(f'"{name}"{space}:{space}{value}' for name, value in members)
    body = f"{space}{{{space}{text}{space}}}{space}".encode("utf-8", "surrogatepass")
    return body[: draw(st.sampled_from([None, None, None, 60, -1]))]


BODIES = objects() | st.binary(max_size=200) | st.just(b"\x50\x2a\x4d\x18" + bytes(40))
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["record", "record", "record", "delete", "forget", "report"]),
        st.sampled_from(["one", "two"]),
        BODIES,
        st.integers(0, 99),
    ),
    max_size=30,
)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes pieces of the shortest texts."""
    monkeypatch.setattr(parts, "BODY_BYTES_MIN", 0)
    monkeypatch.setattr(parts, "PART_BYTES_MIN", 8)
    monkeypatch.setattr(histories, "PART_BYTES_MIN", 8)
    monkeypatch.setattr(histories, "PIECE_BYTES", 60)
    monkeypatch.setattr(histories, "LOOKED_UP_MIN", 3)
    monkeypatch.setattr(histories, "LAST", 2)
    monkeypatch.setattr(histories, "REMEMBERED_MAX", 12)


@pytest.mark.usefixtures("short")
@given(steps=STEPS)
@example(
    steps=[
        ("record", "one", b'{"messages":[{"role": "user", "content": "Why?"}],"messages":[\n]}', 9),
    ]
    * 3
)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150
)
async def test_any_bodies_in_any_order(store: Store, steps: list[Any]) -> None:
    """Whatever is recorded, deleted and replaced in whatever order, what is left comes back byte
    for byte, and no piece is left that nothing uses.
    """
    kept: dict[str, Completion] = {}
    for what, organization_id, body, number in steps:
        some = [*kept.values()][number % len(kept)] if kept else None
        if what == "record":
            completion = finished(
                organization_id=organization_id,
                request=body,
                response=body[: number * 3] or None,
                source="client",
            )
            await store.settle(completion)
            kept[completion.id] = completion
        elif what == "forget":
            if number % 2:
                histories._SEEN.clear()
            await store.act(lambda connection: database_of(connection).remembered.clear())
        elif some is not None and what == "delete":
            await store.completions.delete(some.id, organization_id=some.organization_id)
            del kept[some.id]
        elif some is not None and what == "report":
            kept[some.id] = await store.completions.merge(
                some.id,
                organization_id=some.organization_id,
                change=partial(replace, body=body),
            )
    for name in ("one", "two"):
        await check_pieces(store, name)
    for each in kept.values():
        found = await store.completions.retrieve(each.id, organization_id=each.organization_id)
        assert found == each
    for name in ("one", "two"):
        of_it = {each.id for each in kept.values() if each.organization_id == name}
        page = await store.completions.list(Query(organization_id=name, limit=1_000))
        assert {each.id: each for each in page.completions} == {id: kept[id] for id in of_it}
        for id in of_it:
            await store.completions.delete(id, organization_id=name)
        assert await check_pieces(store, name) == 0


def replace(before: Completion | None, *, body: bytes) -> Completion:
    assert before is not None, "it was recorded"
    before.request, before.received = body, body[3:]
    return before


@given(objects(), objects())
@example(b'{"a":[{"b":1}],"a":[]}', b"")
@example(b'{"a":[{"b":1},{}],"a":[{"long":"' + b"a" * 900 + b'"}]}', b"")
@settings(max_examples=300)
def test_parts_are_in_the_body(first: bytes, second: bytes) -> None:
    """Parts do not overlap, and are within the body, even if a name comes twice."""
    body = first.rstrip(b" }") + b"," + second.lstrip(b" {")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "BODY_BYTES_MIN", 0)
        patch.setattr(parts, "PART_BYTES_MIN", 0)
        found = [find_parts(each) for each in (first, second, body)]
    for each, of in zip(found, (first, second, body), strict=True):
        edges = [edge for part in each for edge in (part.begin, *part.ends)]
        assert edges == sorted(edges)
        assert all(0 < edge <= len(of) for edge in edges)
        assert all(part.ends for part in each)


def record(name: str, turn: int, **members: Any) -> Completion:
    return finished(request=create_history(name, turn), session_id=name, **members)


async def weigh(store: Store) -> int:
    """How many bytes all requests and pieces take."""
    [[requests]] = read_rows(store, select(func.sum(func.length(completions.c.request))))
    [[texts]] = read_rows(store, select(func.sum(func.length(pieces.c.content))))
    return int(requests + (texts or 0))


async def test_each_turn_adds_what_is_new(store: Store) -> None:
    """The fortieth turn of an agent takes no more room than the fifth, and none is read wrong."""
    took: list[int] = []
    recorded = [record("one", turn) for turn in range(40)]
    for each in recorded:
        before = await weigh(store) if took else 0
        await store.settle(each)
        took.append(await weigh(store) - before)
    assert max(took[5:]) < 500
    assert len(recorded[-1].request) > 15_000
    for each in recorded:
        assert await store.completions.retrieve(each.id, organization_id="default") == each
    await check_pieces(store)


async def test_another_session_shares_the_tools(store: Store) -> None:
    """What sessions have in common is stored once, wherever it stands in a body."""
    for turn in range(3):
        await store.settle(record("one", turn))
    before = set(await list_pieces(store))
    names = ["tools", "model", "messages"]
    first = json.loads(create_history("two", 3))
    other = json.dumps({name: first[name] for name in names})
    await store.settle(finished(request=other.encode()))
    uses = await list_pieces(store)
    # Only the system prompt alone was no piece yet.
    assert len(uses.keys() - before) == 1
    assert max(uses.values()) == 3


async def test_another_organization_shares_nothing(store: Store) -> None:
    """Two organizations that send the same bytes have pieces of their own, whose hashes differ.
    Each can delete its own.
    """
    for name in ("default", "other"):
        for turn in range(4):
            await store.settle(record("one", turn, organization_id=name))
    ours, theirs = await list_pieces(store), await list_pieces(store, "other")
    assert len(ours) == len(theirs) > 2
    assert not ours.keys() & theirs.keys()
    query = Query(organization_id="default")
    assert await store.completions.delete_all(query) == 4
    assert await check_pieces(store) == 0
    assert await list_pieces(store, "other") == theirs
    page = await store.completions.list(msgspec.structs.replace(query, organization_id="other"))
    assert {each.request for each in page.completions} == {
        create_history("one", turn) for turn in range(4)
    }


async def test_what_repeats_nothing_stays_whole(store: Store) -> None:
    """A body that comes once makes no piece."""
    for number in range(20):
        await store.settle(record(f"agent {number}", 0))
    # The tools and the system prompt.
    before = await list_pieces(store)
    assert 0 < len(before) < 5
    lone = json.dumps({"messages": [{"role": "user", "content": "Why? " * 2_000}]}).encode()
    await store.settle(finished(request=lone))
    assert (await list_pieces(store)).keys() == before.keys()


async def test_the_end_of_a_history_may_change(store: Store) -> None:
    """If clients mark the last message of each request, the messages before it are shared."""
    for turn in range(1, 20):
        request = json.loads(create_history("one", turn))
        request["messages"][-1]["cache_control"] = {"type": "ephemeral"}
        await store.settle(finished(request=json.dumps(request).encode()))
    before = await weigh(store)
    request = json.loads(create_history("one", 20))
    request["messages"][-1]["cache_control"] = {"type": "ephemeral"}
    await store.settle(finished(request=json.dumps(request).encode()))
    assert await weigh(store) - before < 500
    await check_pieces(store)


async def test_goes_on_after_reopening(open_store: OpenStore) -> None:
    """A server that starts again finds the pieces that a session already has."""
    store = await open_store()
    for turn in range(10):
        await store.settle(record("one", turn))
    before = await list_pieces(store)
    await store.close()
    store = await open_store()
    for turn in range(10, 13):
        await store.settle(record("one", turn))
    after = await list_pieces(store)
    assert before.keys() < after.keys()
    assert len(after) - len(before) < 5
    await check_pieces(store)


async def test_packed_later(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies that were written whole are packed in idle moments."""
    monkeypatch.setattr(compression, "AT_ONCE_BYTES_MAX", 0)
    recorded = [record("one", turn) for turn in range(30)]
    for each in recorded:
        await store.settle(each)
    assert await list_pieces(store) == {}
    await until(lambda: store.statistics().uncompressed == 0)
    assert await check_pieces(store) > 10
    for each in recorded:
        assert await store.completions.retrieve(each.id, organization_id="default") == each


async def test_a_list_shows_bodies_in_pieces(store: Store) -> None:
    """Lists, previews and searches read them as any others."""
    recorded = [record("one", turn) for turn in range(12)]
    for each in recorded:
        await store.settle(each)
    query = Query(organization_id="default")
    summaries = (await store.completions.list_summaries(query)).summaries
    assert [each.preview and each.preview.asked for each in summaries] == [
        f"one asks {turn}" for turn in reversed(range(12))
    ]
    found = await store.completions.list(
        msgspec.structs.replace(query, filter=parse_completion_filter('"one said 7"'))
    )
    assert {each.id for each in found.completions} == {each.id for each in recorded[8:]}


@pytest.mark.parametrize("seed", range(3))
async def test_deleted_in_any_order(store: Store, seed: int) -> None:
    """A piece goes with the last that uses it, and not before."""
    recorded = [record(f"agent {number % 3}", number // 3) for number in range(45)]
    for each in recorded:
        await store.settle(each)
    random.Random(seed).shuffle(recorded)
    while recorded:
        gone = recorded.pop()
        await store.completions.delete(gone.id, organization_id="default")
        if len(recorded) % 9 == 0:
            await check_pieces(store)
            for each in recorded:
                assert await store.completions.retrieve(each.id, organization_id="default") == each
    assert await list_pieces(store) == {}


@pytest.mark.parametrize("database", ["sqlite"])
async def test_pieces_leave_the_files(store: Store, tmp_path: Path) -> None:
    """When the last call of a session is deleted, its pieces leave every byte of the files."""
    for turn in range(30):
        for name in ("gone", "kept"):
            await store.settle(record(name, turn))
    before = await list_pieces(store)
    gone = read_pieces(tmp_path / "data")
    await store.completions.delete_all(Query(organization_id="default", session_id="gone"))
    kept = read_pieces(tmp_path / "data")
    gone = [each for each in gone if each not in kept]
    assert len(gone) > 20
    assert len(await list_pieces(store)) == len(before) - len(gone)
    await erased(store)
    others = [*kept, *read_bodies(tmp_path / "data")]
    assert find_bodies(tmp_path / "data", gone, kept=others) == []
    assert find_bodies(tmp_path / "data", kept)
    await check_pieces(store)


async def test_retention_deletes_pieces(store: Store) -> None:
    """When the bodies of all calls were kept for long enough, no piece is left."""
    old = current_time_us() - 10**12
    for turn in range(20):
        await store.settle(record("old", turn, created_at=old + turn))
    await store.settle(record("new", 3))
    store.retention.use([Term(what="bodies", span="24h")])
    await store.retention.run(organization_id="default")
    page = await store.completions.list(Query(organization_id="default", limit=100))
    assert sorted(each.request for each in page.completions)[-2:] == [b"", create_history("new", 3)]
    assert await check_pieces(store) < 4


async def test_a_piece_that_another_process_deleted(open_store: OpenStore) -> None:
    """What is remembered of pieces is not trusted: a call whose piece has gone is recorded."""
    store = await open_store()
    for turn in range(5):
        await store.settle(record("one", turn))
    await change_rows(store, pieces.delete(), completions.delete())
    recorded = [record("one", turn) for turn in range(5, 8)]
    for each in recorded:
        await store.settle(each)
    for each in recorded:
        assert await store.completions.retrieve(each.id, organization_id="default") == each
    assert await check_pieces(store) > 0


@pytest.mark.parametrize("database", ["sqlite"])
async def test_killed(open_store: OpenStore, tmp_path: Path) -> None:
    """After kill -9, every call comes back byte for byte that was recorded and not deleted, every
    piece is there that is used, and no other.
    """
    folder = tmp_path / "data"
    recorded: set[str] = set()
    deleted: set[str] = set()
    for seed in range(3):
        lines = await record_until_killed(folder, after_s=random.Random(seed).uniform(0.1, 0.6))
        recorded |= {line[1:] for line in lines if line.startswith("+")}
        deleted |= {line[1:] for line in lines if line.startswith("-")}
    assert len(deleted) > 10
    store = await open_store()
    page = await store.completions.list(
        Query(organization_id="default", tags=["crash"], limit=1_000_000)
    )
    assert {each.id for each in page.completions} >= recorded - deleted
    for each in page.completions:
        if each.status == "finished":
            name, _, turn = each.tags[1].rpartition(" ")
            assert each.request == create_history(name, int(turn))
    assert await check_pieces(store) > 10
    await store.completions.delete_all(Query(organization_id="default"))
    assert await list_pieces(store) == {}


async def record_until_killed(folder: Path, *, after_s: float) -> list[str]:
    """The lines of a process until it was killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.storage.crash_histories",
        str(folder),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    first = await process.stdout.readline()
    reading = asyncio.create_task(process.stdout.read())
    await asyncio.sleep(after_s)
    process.kill()
    rest = await reading
    await process.wait()
    # The last line may be cut off.
    return (first + rest).decode().split("\n")[:-1]


@pytest.mark.parametrize("database", ["sqlite"])
async def test_read_without_briggs(store: Store, tmp_path: Path) -> None:
    """The program in `docs/store.md` restores a body from the database, with SQL and zstd."""
    code = re.search(r"```python\n(.*?)```", (DOCS / "store.md").read_text(), re.DOTALL)
    assert code is not None
    program = tmp_path / "restore.py"
    program.write_text(code[1])
    recorded = [record("one", turn) for turn in (0, 1, 2, 30)]
    recorded.append(finished(request=b"\xff\0"))
    for each in recorded:
        await store.settle(each)
    for each in recorded:
        dictionary = Path(bodies.__file__).with_name("dictionary_2.zdict")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", program, tmp_path / "data" / "briggs.db", dictionary, each.id),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        assert out == each.request


def test_a_body_with_too_many_values_stays_whole() -> None:
    """Nothing else could run while its values are told apart."""
    history = b'"messages":[%b]' % b",".join([b'{"content":"%b"}' % (b"x" * 600)] * 4)
    few, many = (b",".join(b'"k%d":1' % n for n in range(count)) for count in (9, 260_000))
    assert find_parts(b"{%b,%b}" % (history, few)) != []
    assert find_parts(b"{%b,%b}" % (history, many)) == []
