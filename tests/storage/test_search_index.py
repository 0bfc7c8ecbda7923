"""A search finds with the index what it finds without, whatever changes meanwhile."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import random
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, Table, delete, select, update

from briggs.storage import Query, Store, said_apart, search, search_chains, search_index
from briggs.storage import search_segments as search_segments_module
from briggs.storage.bodies import Bodies
from briggs.storage.database import Database
from briggs.storage.said import list_said
from briggs.storage.search_index import Period
from briggs.storage.search_segments import fold
from briggs.storage.tables import completions, search_segments, search_summaries
from briggs.types.completion_filters import parse_completion_filter
from briggs.types.completions import Completion, current_time_us
from briggs.types.filters import AllOf, Comparison, Filter, Not, Words
from briggs.types.organizations import Organization
from briggs.types.retention import Term
from briggs.types.search import SearchProgress
from tests.files import find_bodies, find_texts
from tests.storage.conftest import OpenStore, change_rows, read_rows
from tests.storage.histories import create_history
from tests.storage.test_deletion import erased
from tests.storage.test_retention import use

OURS = "default"
BEGIN = 1_790_000_000_000_000
SAYINGS = (
    *("The refund was paid.", "A REFUNDABLE deposit", "你好，世界 🎉", "STRASSE und Straße"),
    *("سلام عليكم", "สวัสดีครับ", "line\nbreak\tand tab", 'quotes "so" \\ slash', "x" * 300, ""),
    *("half \ud800 pair", "nothing of note", "the the the", "µ and μ", "ﬁne", "İstanbul"),
)
NEEDLES = (
    *("refund", "REFUND ", "und wa", "paid.", "able dep", "好，世", "世", "🎉", "strasse", "aße"),
    *("عليكم", "วัสดี", "break\tand", '"so"', "\\", "x" * 90, "nowhere", "the", "?", "μ", "fine"),
    *("half \ud800", "i̇stanbul", "E", "said 7", "said 1"),
)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few completions are segments already, and all of them have ended."""
    for name, value in {
        "BLOCK_ROWS": 2,
        "SMALL_ROWS": 6,
        "SMALL_BLOCKS": 4,
        "LARGE_ROWS": 40,
        "MERGED": 3,
        "GROUP_SEGMENTS": 2,
        "GROUP_FREQUENT": 4,
        "SUMMARY_SHARE_MAX": 2.0,
        "SETTLED_US": -(10**17),
        "RUNNING_US": -(10**17),
        "QUIET_S": 0.0,
        "UNSETTLED_S": 0.05,
        "EVERY_S": 0.0,
    }.items():
        monkeypatch.setattr(search_index, name, value)
    monkeypatch.setattr(search, "SCAN_ROWS", 5)
    monkeypatch.setattr(search, "LED_ROWS", 0)
    monkeypatch.setattr(search, "SUMMED_MIN", 1)


def create(number: int, *, at: int, said: str, **members: Any) -> Completion:
    chance = random.Random(number)
    request = {"messages": [{"role": "user", "content": f"{said} said {number}"}]}
    response = {"choices": [{"message": {"content": chance.choice(SAYINGS)}}]}
    return Completion(
        organization_id=OURS,
        created_at=at,
        status="finished",
        model=chance.choice(["gpt", "llama"]),
        tags=["a"] if chance.random() < 0.5 else [],
        cost_usd=chance.choice([None, 1.0, 2.0, chance.random()]),
        request=json.dumps(request, ensure_ascii=chance.random() < 0.5).encode(
            "utf-8", "surrogatepass"
        ),
        response=json.dumps(response).encode(),
        **members,
    )


async def fill(store: Store, count: int, *, seed: int = 1) -> list[Completion]:
    """Completions in no order of time, some at the same time."""
    chance = random.Random(seed)
    made = [
        create(
            number + seed * 1000,
            at=BEGIN + chance.randrange(count) * 1000,
            said=chance.choice(SAYINGS),
        )
        for number in range(count)
    ]
    await settle(store, made)
    return made


async def settle(store: Store, made: Sequence[Completion]) -> None:
    await asyncio.gather(*map(store.settle, made))


async def complete(store: Store) -> None:
    """Take all steps that are due, whatever time it is."""
    progress = None
    for _ in range(10_000):
        await store.act(_step)
        progress = await store.search_index.retrieve_progress(organization_id=OURS)
        if progress.is_complete and not progress.segments_left:
            return
    raise AssertionError(progress)


def _step(connection: Any) -> None:
    """Nothing. The writer's thread takes a step after each batch."""


def matches(filter: Filter, completion: Completion) -> bool:
    """By plain Python."""
    if isinstance(filter, Words):
        said = list_said(completion.request, completion.response)
        return any(filter.text.casefold() in each.casefold() for each in said)
    if isinstance(filter, Not):
        return not matches(filter.inner, completion)
    if isinstance(filter, Comparison):
        if filter.field == "tag":
            return filter.value.text in completion.tags
        return completion.model == filter.value.text
    join = all if isinstance(filter, AllOf) else any
    return join(matches(each, completion) for each in filter.inner)


def sort(found: Sequence[Completion], query: Query) -> list[str]:
    is_falling = query.order == "desc"
    placed = sorted(found, key=lambda each: (each.created_at, each.id), reverse=is_falling)
    if query.sort == "cost":
        known = [each for each in placed if each.cost_usd is not None]
        known.sort(key=lambda each: each.cost_usd or 0, reverse=is_falling)
        placed = known + [each for each in placed if each.cost_usd is None]
    return [each.id for each in placed]


async def walk(store: Store, query: Query) -> list[str]:
    found: list[str] = []
    while True:
        page = await store.completions.list(query)
        found += [each.id for each in page.completions]
        if not page.has_more:
            return found
        query = msgspec.structs.replace(query, after=found[-1])


def list_queries() -> list[Query]:
    quoted = [json.dumps(each, ensure_ascii=False).replace("\\t", "\t") for each in NEEDLES]
    texts = [
        *quoted,
        *(f"tag = a and {each} and not 'refund'" for each in quoted[::3]),
        *(f"{a} or {b}" for a, b in zip(quoted[::4], quoted[1::4], strict=False)),
        "not 'the'",
        "model = gpt or 'refund'",
        "('refund' or '世') and not ('deposit' and model = llama)",
    ]
    return [
        Query(organization_id=OURS, filter=parse_completion_filter(text), limit=25)
        for text in texts
    ]


async def compare(store: Store, recorded: Sequence[Completion]) -> None:
    """Search for everything, in some order, and compare with plain Python."""
    chance = random.Random(len(recorded))
    for query in chance.sample(list_queries(), 6):
        assert query.filter is not None
        wanted = [each for each in recorded if matches(query.filter, each)]
        by_time = msgspec.structs.replace(query, order=chance.choice(["asc", "desc"]))
        by_cost = msgspec.structs.replace(by_time, sort="cost")
        for each in (by_time, by_cost):
            assert await walk(store, each) == sort(wanted, each), each
        begin = BEGIN + chance.randrange(50) * 1000
        ranged = msgspec.structs.replace(query, created_from=begin, created_to=begin + 20_000)
        some = [each for each in wanted if begin <= each.created_at < begin + 20_000]
        assert await walk(store, ranged) == sort(some, ranged)
        assert (await store.completions.count(query)).count == len(wanted)


def list_segments(store: Store, *, table: Table = search_segments) -> list[Any]:
    columns = table.c
    statement = select(
        columns.organization_id, columns.begin_at, columns.end_at, columns.rows, columns.words
    )
    return read_rows(store, statement.order_by(columns.begin_at))


def list_words(store: Store) -> set[bytes]:
    return {
        word
        for table in (search_segments, search_summaries)
        for row in list_segments(store, table=table)
        for word in row[-1].split()
    }


@pytest.fixture
async def filled(store: Store) -> AsyncIterator[tuple[Store, list[Completion]]]:
    recorded = await fill(store, 100)
    await complete(store)
    yield store, recorded


@pytest.mark.parametrize("gathered,walked", [(0, 4), (15_000, 2_000)])
async def test_the_index_finds_what_a_scan_finds(
    store: Store, gathered: int, walked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every script and order, before, during and after completions are written or change."""
    monkeypatch.setattr(search, "GATHERED_ROWS", gathered)
    monkeypatch.setattr(search, "WALKED_ROWS", walked)
    monkeypatch.setattr(search, "WALKED_MAX", 4 * walked)
    recorded = await fill(store, 60)
    await compare(store, recorded)
    await complete(store)
    assert len(list_segments(store)) >= 2
    await compare(store, recorded)
    recorded += await fill(store, 30, seed=2)
    await compare(store, recorded)
    for _ in range(10):
        gone = recorded.pop(7)
        assert await store.completions.delete(gone.id, organization_id=OURS)
    changed = recorded[3]

    def change(before: Completion | None) -> Completion:
        assert before is not None
        before.response = b'{"choices":[{"message":{"content":"Refunded at last"}}]}'
        return before

    recorded[3] = await store.completions.merge(changed.id, organization_id=OURS, change=change)
    await compare(store, recorded)
    await complete(store)
    await compare(store, recorded)


async def test_small_segments_become_large_ones(store: Store) -> None:
    """New completions become segments in the order of time, and neighbours are merged."""
    recorded = []
    for number in range(40):
        recorded.append(create(number, at=BEGIN + number * 1000, said=f"word{number}"))
        await store.settle(recorded[-1])
        await store.act(_step)
    await complete(store)
    segments = list_segments(store)
    assert max(row[3] for row in segments) >= 3 * 6
    ends = [(row[1], row[2]) for row in segments]
    assert [end for _, end in ends[:-1]] == [begin for begin, _ in ends[1:]]
    await compare(store, recorded)


async def test_no_word_of_what_was_deleted_stays(
    filled: tuple[Store, list[Completion]], address: str | None, tmp_path: Path
) -> None:
    """Not in the index, and no byte of its old segments in the files."""
    store, recorded = filled
    secret = create(7_000, at=BEGIN + 50_500, said="kryptonite")
    await store.settle(secret)
    await complete(store)
    assert b"kryptonite" in list_words(store)
    frames = [row[-1] for row in list_segments(store) if b"kryptonite" in row[-1]]
    assert address is not None or find_bodies(tmp_path / "data", frames)
    assert await store.completions.delete(secret.id, organization_id=OURS)
    assert b"kryptonite" not in list_words(store)
    await complete(store)
    await erased(store)
    kept = [row[-1] for row in list_segments(store)]
    assert not set(frames) & set(kept)
    if address is None:
        assert find_bodies(tmp_path / "data", frames, kept=kept) == []
    assert find_texts(tmp_path / "data", ["kryptonite"]) == []
    assert b"kryptonite" not in list_words(store)
    await compare(store, recorded)


async def test_what_was_kept_for_long_enough_leaves_the_index(store: Store) -> None:
    """Also if only the bodies go."""
    now = current_time_us()
    for number in range(20):
        at = now - (20 - number) * 3_600_000_000
        await store.settle(create(number, at=at, said=f"hour{number}"))
    await complete(store)
    assert {b"hour0", b"hour11"} <= list_words(store)
    use(store, Term(what="bodies", span="10h"))
    await store.retention.run(organization_id=OURS)
    await complete(store)
    words = list_words(store)
    assert b"hour0" not in words and b"hour11" in words
    page = await store.completions.list(Query(organization_id=OURS, text="hour0"))
    assert page.completions == []


async def test_a_segment_that_is_joined_while_a_search_reads(
    filled: tuple[Store, list[Completion]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is found twice if the segments that a search has listed have become one."""
    store, recorded = filled
    _, begin, end, *_ = list_segments(store)[0]
    middle = (begin + end) // 2
    before = [Period(begin, middle), Period(middle, end)]
    monkeypatch.setattr(search, "list_covered", lambda *_, **__: before)
    await compare(store, recorded)


async def test_a_call_that_runs_is_not_in_the_index(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found by what it asks, and by its answer as soon as it has one."""
    monkeypatch.setattr(search_index, "RUNNING_US", 10**15)
    now = current_time_us()
    running = create(1, at=now - 50_000, said="running")
    running.status, answer, running.response = "started", running.response, None
    await store.start(running)
    # A start is written a little later, unless its end comes first.
    while await store.completions.retrieve(running.id, organization_id=OURS) is None:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    recorded = await fill(store, 20)
    later = [create(number, at=now - 40_000 + number, said="later") for number in range(2, 40)]
    await settle(store, later)
    await store.act(_step)
    assert len(
        (await store.completions.list(Query(organization_id=OURS, text="running"))).completions
    )
    running.status, running.response = "finished", answer
    await store.settle(running)
    await compare(store, [*recorded, *later, running])


async def test_what_cannot_be_indexed_is_searched(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Very large bodies, and many completions of one moment, are read one by one."""
    monkeypatch.setattr(search_index, "ROW_BYTES", 500)
    monkeypatch.setattr(search_index, "SAID_BYTES_MAX", 1000)
    monkeypatch.setattr(search_index, "TIED_ROWS_MAX", 3)
    recorded = await fill(store, 30)
    for number in range(8):
        recorded.append(create(500 + number, at=BEGIN + 5_000, said="tied"))
    recorded.append(create(600, at=BEGIN + 6_500, said="large " * 300))
    await settle(store, recorded[30:])
    await complete(store)
    assert not {b"tied", b"large"} & list_words(store)
    await compare(store, recorded)


@pytest.mark.parametrize("kept", [0, 100_000])
async def test_histories_are_read_once(
    store: Store, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their words stand for all calls that go on with them, and go with the last of these."""
    read: list[bytes] = []

    def read_piece(stored: bytes, **given: Any) -> Any:
        read.append(stored)
        return said_apart.read_piece(stored, **given)

    monkeypatch.setattr(search_index, "read_piece", read_piece)
    monkeypatch.setattr(search_chains, "WORDS_MAX", kept)
    monkeypatch.setattr(search_index, "LARGE_ROWS", 60)
    recorded = []
    # Three sessions in turns. One of them is asked the same again and goes on in two ways.
    for turn in range(20):
        for place, name in enumerate(("ada", "blaise", "secretive")):
            request = create_history(name, turn if name != "ada" else turn - turn % 3)
            made = create(100 * turn + place, at=BEGIN + (3 * turn + place) * 1000, said="")
            recorded.append(msgspec.structs.replace(made, request=request))
            await store.settle(recorded[-1])
    await store.search_index.rebuild(organization_id=OURS)
    read.clear()
    await complete(store)
    if kept:
        # The 60 calls have 550 pieces, counting each as often as it comes.
        assert 40 < len(set(read)) <= len(read) < 100
    for needle in ("blaise said 3", "11 dias", "ada asks 9", "helpful. be", "secretive said 0"):
        query = Query(organization_id=OURS, text=needle, limit=25)
        wanted = [each for each in recorded if matches(Words(needle), each)]
        assert wanted
        assert await walk(store, query) == sort(wanted, query)
    wanted = [each for each in recorded if b"secretive" not in each.request]
    await store.completions.delete_all(Query(organization_id=OURS, text="secretive"))
    await complete(store)
    assert b"secretive" not in list_words(store) and b"blaise" in list_words(store)
    await compare(store, wanted)


async def test_a_damaged_body_stops_nothing(store: Store) -> None:
    """Its block is always searched, and the others are in the index."""
    recorded = await fill(store, 30)
    this = completions.c.id == recorded[0].id
    await change_rows(store, update(completions).where(this).values(request=b"\0"))
    await store.search_index.rebuild(organization_id=OURS)
    await complete(store)
    assert list_segments(store)


@pytest.mark.parametrize("column", ["words", "postings"])
async def test_a_damaged_segment_rules_out_nothing(
    filled: tuple[Store, list[Completion]], column: str
) -> None:
    """What it covers is read one by one, and what a damaged summary covers by segments."""
    store, recorded = filled
    for table in (search_summaries, search_segments):
        assert list_segments(store, table=table)
        await change_rows(store, update(table).values({column: b"\0"}))
        await compare(store, recorded)


Read = list[tuple[str, Period]]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Read:
    """The segments and summaries that searches look at here, as they do."""
    read: Read = []
    look_at = search._Search._look_at

    def look_and_note(self: Any, table: Table, span: Period) -> Any:
        read.append((table.name, span))
        return look_at(self, table, span)

    monkeypatch.setattr(search._Search, "_look_at", look_and_note)
    return read


async def test_words_that_are_nowhere_are_not_sent(
    filled: tuple[Store, list[Completion]], read: Read
) -> None:
    """A database elsewhere says which segments cannot have a text. The others are read here."""
    store, _ = filled
    is_here = not store._database.rules_out_segments
    for word, is_read in (("quixotically", is_here), ("refund", True)):
        words = parse_completion_filter(f"'{word}'")
        page = await store.completions.list(Query(organization_id=OURS, filter=words, limit=100))
        assert (bool(page.completions), bool(read)) == (word == "refund", is_read)


async def test_a_search_looks_only_at_segments_whose_summary_has_it(
    store: Store, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a group, those that have each of the words, in whichever order. A change of one of its
    completions takes the summary away until the segments are read again.
    """
    monkeypatch.setattr(search_index, "LARGE_ROWS", 12)
    monkeypatch.setattr(search_index, "GROUP_SEGMENTS", 4)
    recorded = [
        create(number, at=BEGIN + number * 1000, said=f"n{number:03} of{number % 24}")
        for number in range(60)
    ]
    await settle(store, recorded)
    await complete(store)
    [(_, begin, _, rows, _)] = list_segments(store, table=search_summaries)
    assert rows == 48
    # From 12 on, each segment has 12.
    for text, count in (("n040", 1), ("n040 of16", 1), ("n040 of5", 0), ("of20", 2)):
        for order in ("asc", "desc"):
            read.clear()
            query = Query(organization_id=OURS, text=text, order=order, created_from=begin)
            wanted = [each for each in recorded[12:] if matches(Words(text), each)]
            assert await walk(store, query) == sort(wanted, query)
            assert len({span for name, span in read if name == "search_segments"}) <= count
    assert await store.completions.delete(recorded.pop(40).id, organization_id=OURS)
    assert list_segments(store, table=search_summaries) == []
    await compare(store, recorded)
    await complete(store)
    assert [row[3] for row in list_segments(store, table=search_summaries)] == [47]


async def test_a_summary_that_is_not_shorter_says_nothing(
    filled: tuple[Store, list[Completion]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not made again, and what its segments have is found."""
    store, recorded = filled
    monkeypatch.setattr(search_index, "SUMMARY_SHARE_MAX", 0.0)
    await store.search_index.rebuild(organization_id=OURS)
    await complete(store)
    assert [row[-1] for row in list_segments(store, table=search_summaries)] == [b""]
    await compare(store, recorded)


async def test_a_large_body_with_few_words_is_indexed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether most of it is no text, such as an image, or its text says the same again."""
    monkeypatch.setattr(search_index, "ROW_BYTES", 10_000)
    monkeypatch.setattr(search_index, "BLOCK_BODIES_BYTES", 10_000)
    monkeypatch.setattr(search_segments_module, "BLOCK_BYTES_MAX", 5_000)
    monkeypatch.setattr(search_segments_module, "PART_CHARACTERS", 1_000)
    image = base64.b64encode(random.Random(1).randbytes(200_000)).decode()
    parts = [{"type": "image_url", "image_url": {"url": image}}, {"text": "Qwertz on it"}]
    recorded = await fill(store, 30)
    for number, content in enumerate([parts, "again and " * 20_000 + "azertyuiop", image]):
        made = create(600 + number, at=BEGIN + 6_500 + number, said="large")
        made.request = json.dumps({"messages": [{"content": content}]}).encode()
        recorded.append(made)
    await settle(store, recorded[30:])
    await complete(store)
    assert {b"qwertz", b"azertyuiop"} <= list_words(store)
    assert [row[-1] for row in read_rows(store, select(search_segments.c.opaque))] != [b""]
    for text in ("qwertz on", "ertyuio", "again and azer", image[70_000:70_030]):
        page = await store.completions.list(Query(organization_id=OURS, text=text))
        wanted = [each.id for each in recorded if matches(Words(text), each)]
        assert [each.id for each in page.completions] == wanted and wanted
    await compare(store, recorded)


async def test_progress_and_rebuild(
    open_store: OpenStore, open_raw: Callable[[], Database]
) -> None:
    """A store of an older version is filled when it is opened, and a rebuild fills it again."""
    store = await open_store()
    whole = SearchProgress(is_complete=True, share=1.0, left=0, segments_left=0)
    assert await store.search_index.retrieve_progress(organization_id=OURS) == whole
    recorded = await fill(store, 50)
    await complete(store)
    await store.close()
    database = open_raw()
    database.writer.execute(delete(search_segments))
    database.close()
    again = await open_store()
    await complete(again)
    segments = list_segments(again)
    assert len(segments) >= 2
    await again.search_index.rebuild(organization_id=OURS)
    await complete(again)
    assert [row[:4] for row in list_segments(again)] == [row[:4] for row in segments]
    await compare(again, recorded)


async def test_organizations_have_their_own(store: Store) -> None:
    """The words of one are in no segment of another, and go with it."""
    other = Organization(id="other", slug="other", name="Other")
    await store.organizations.create(other)
    recorded = await fill(store, 30)
    theirs = [create(number, at=BEGIN + number, said="theirs") for number in range(20)]
    for each in theirs:
        await store.settle(msgspec.structs.replace(each, organization_id="other"))
    for _ in range(500):
        await store.act(_step)
        if {row[0] for row in list_segments(store)} == {OURS, "other"}:
            break
    words = {row[0]: row[-1] for row in list_segments(store)}
    assert fold("theirs") in words["other"] and fold("theirs") not in words[OURS]
    await compare(store, recorded)
    await store.completions.delete_all(Query(organization_id="other"))
    assert await store.organizations.delete("other")
    assert {row[0] for row in list_segments(store)} == {OURS}


async def test_no_time_is_left(filled: tuple[Store, list[Completion]]) -> None:
    """A search says how far back it came, and goes on from there."""
    store, recorded = filled
    query = Query(organization_id=OURS, text="the")
    found: list[str] = []
    while query.created_to is None or query.created_to > BEGIN:
        some, searched_to = await store.read(partial(search_for_no_time, query=query))
        found += some
        if searched_to is None:
            break
        assert query.created_to is None or searched_to < query.created_to
        query = msgspec.structs.replace(query, created_to=searched_to)
    wanted = {each.id for each in recorded if matches(Words("the"), each)}
    assert set(found) == wanted


def search_for_no_time(connection: Connection, *, query: Query) -> tuple[list[str], int | None]:
    found: list[str] = []
    try:
        some = search.search(connection, query=query, after=None, bodies=Bodies(), until=-math.inf)
        found.extend(each.id for each in some)
    except search.SearchEnded as error:
        return found, error.searched_to
    return found, None
