"""Compares the record with what callers got."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from briggs.storage import rollups
from briggs.storage.bodies import Bodies
from briggs.storage.completions import select_many
from briggs.storage.pieces import find_pieces
from briggs.storage.reading import open_reader
from briggs.storage.records import SELECT, decode
from briggs.storage.tables import completions, feedback, feedback_completions, feedback_queue
from briggs.storage.verify import verify
from briggs.types.completions import Completion
from briggs.types.rollups import Tally
from tests.answers import write_again
from tests.torture.calls import GRADE, GRADED_TAG, KINDS, LOCAL, ORGANIZATION, Call, find_number
from tests.torture.house import House

PAGE_ROWS = 200
QUEUED_S = 2.0
"""For how long a record may be queued."""
SHOWN = 3
"""How many of a kind of problem are shown."""


@dataclass(slots=True)
class Findings:
    """What a check found."""

    calls: int = 0
    answered: int = 0
    refused: int = 0
    cut: int = 0
    recorded: int = 0
    """The calls that were answered and are on record as what they were."""
    forgiven: set[int] = field(default_factory=set)
    """The calls that were answered in the last moments before a fault and are not on record, as
    `durability = "relaxed"` says."""
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    """What is on record as something else."""
    orphans: list[str] = field(default_factory=list)
    """Calls that are `started` although nobody answers them any more."""
    damaged: list[str] = field(default_factory=list)
    """What `briggs verify` says."""

    @property
    def problems(self) -> list[str]:
        kinds = (self.lost, self.doubled, self.changed, self.orphans, self.damaged)
        return [text for texts in kinds for text in (*texts[:SHOWN], *_count_more(texts[SHOWN:]))]


class Record:
    """What is on record, as of the last check."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._seen: dict[str, int] = {}
        """The number of the call of each completion, by id."""
        self._bodies = Bodies()

    def list_started(self) -> list[str]:
        """The calls that Briggs answers, or left."""
        columns = completions.c
        statement = select(columns.id).where(
            columns.organization_id == ORGANIZATION,
            columns.status == "started",
            columns.source == "gateway",
        )
        with self._open() as connection:
            return [*connection.scalars(statement)]

    def check(
        self,
        calls: Mapping[int, Call],
        *,
        task_id: str,
        verifies: bool = True,
        moments: Sequence[float] = (),
    ) -> Findings:
        """Compare the record with these calls, and all that is on record with itself.

        At these `moments`, what was queued may have been lost.
        """
        found = Findings(calls=len(calls))
        with self._open() as connection:
            rows = self._read_new(connection, calls, found)
            judge_calls(calls, rows, found, moments=moments)
            self._judge_grades(connection, calls, found)
            self._judge_queue(connection, calls, found, task_id=task_id)
        found.orphans += [f"completion {id} is started for ever" for id in self.list_started()]
        if verifies:
            self.verify(found)
        return found

    def verify(self, found: Findings) -> None:
        """Add what `briggs verify` says."""
        with open_reader(self._house.node.data, address=self._house.address) as reader:
            found.damaged += map(str, verify(reader, show=lambda *_: None))

    def read_rollups(self) -> Mapping[tuple[int, str, str], Tally]:
        """The sums of all hours, by hour, model and provider."""
        with self._open() as connection:
            found = rollups.list_rollups(
                connection,
                organization_id=ORGANIZATION,
                span="hour",
                created_from=0,
                created_to=2**53,
            )
        return {(each.begin_at, each.model, each.provider): each.tally for each in found}

    @contextmanager
    def _open(self) -> Iterator[Connection]:
        with (
            open_reader(self._house.node.data, address=self._house.address) as reader,
            reader.read() as connection,
            reader.snapshot(connection),
        ):
            yield connection

    def _read_new(
        self, connection: Connection, calls: Mapping[int, Call], found: Findings
    ) -> Mapping[int, list[Completion]]:
        """The completions that were not there at the last check, by the numbers of their calls."""
        ids = connection.scalars(
            select(completions.c.id).where(completions.c.organization_id == ORGANIZATION)
        ).all()
        known = Counter(self._seen.values())
        rows: dict[int, list[Completion]] = defaultdict(list)
        for id, number, completion in self._read(connection, [*set(ids) - {*self._seen}]):
            self._seen[id] = number
            rows[number].append(completion)
            if number not in calls:
                whose = "was checked before" if number in known else "nobody made"
                found.doubled.append(f"completion {id} is of call {number}, which {whose}")
        if gone := {*self._seen} - set(ids):
            found.lost += [f"completion {id} was on record, and is not" for id in sorted(gone)]
            for id in gone:
                del self._seen[id]
        return rows

    def _read(
        self, connection: Connection, ids: Sequence[str]
    ) -> Iterator[tuple[str, int, Completion]]:
        for begin in range(0, len(ids), PAGE_ROWS):
            some = ids[begin : begin + PAGE_ROWS]
            statement = select_many(SELECT, ids=some, organization_id=ORGANIZATION)
            found = connection.execute(statement).all()
            pieces = find_pieces(connection, found, bodies=self._bodies)
            for row in found:
                completion = decode(row, bodies=pieces)
                number = find_number(completion.request)
                yield completion.id, -1 if number is None else number, completion

    def _judge_grades(
        self, connection: Connection, calls: Mapping[int, Call], found: Findings
    ) -> None:
        """Each grade that was accepted is there once, and no grade is there twice."""
        comments = connection.scalars(
            select(feedback.c.comment).where(feedback.c.organization_id == ORGANIZATION)
        ).all()
        times = Counter(find_number(each.encode()) for each in comments)
        for number, call in calls.items():
            if call.kind != GRADE:
                continue
            if times[number] > 1:
                found.doubled.append(f"grade {number} is on record {times[number]} times")
            if call.fate == "answered" and times[number] == 0:
                found.lost.append(f"grade {number} was accepted, and is not on record")
            found.recorded += call.fate == "answered" and times[number] == 1

    def _judge_queue(
        self, connection: Connection, calls: Mapping[int, Call], found: Findings, *, task_id: str
    ) -> None:
        """Each call that the task selects is in its queue, or graded."""
        queued = {
            *connection.scalars(_list_ids(feedback_queue, task_id)),
            *connection.scalars(_list_ids(feedback_completions, task_id)),
        }
        for number, call in calls.items():
            selected = call.kind == "chat for grades" and call.fate == "answered"
            if selected and call.id not in queued and number not in found.forgiven:
                found.lost.append(f"call {number} is tagged {GRADED_TAG}, and in no queue")


def judge_calls(
    calls: Mapping[int, Call],
    rows: Mapping[int, Sequence[Completion]],
    found: Findings,
    *,
    moments: Sequence[float] = (),
) -> None:
    """Compare calls with their completions, by their numbers."""
    for number, call in calls.items():
        found.answered += call.fate == "answered"
        found.refused += call.fate == "refused"
        found.cut += call.fate in ("cut", "left")
        if not KINDS[call.kind].is_call:
            continue
        of = rows.get(number, ())
        if len(of) > 1:
            ids = " and ".join(each.id for each in of)
            found.doubled.append(f"call {number} ({call.kind}) is on record as {ids}")
        what = _judge_one(call, of[0] if of else None)
        if what is None:
            found.recorded += call.fate == "answered"
        elif _was_queued(call, of, moments):
            found.forgiven.add(number)
        else:
            kind = found.changed if of else found.lost
            kind.append(f"call {number} ({call.kind}) {what}")


def _was_queued(call: Call, of: Sequence[Completion], moments: Sequence[float]) -> bool:
    """Whether a call was answered so shortly before or after a moment that its end was queued."""
    ended_at = call.began_at + call.took_s
    is_near = any(abs(ended_at - moment) < QUEUED_S for moment in moments)
    return is_near and call.fate == "answered" and all(each.status == "failed" for each in of)


def _list_ids(table: Any, task_id: str) -> Any:
    columns = table.c
    return select(columns.completion_id).where(
        columns.organization_id == ORGANIZATION, columns.task_id == task_id
    )


def _judge_one(call: Call, completion: Completion | None) -> str | None:
    """What is wrong with the record of a call."""
    if completion is None:
        if call.fate == "answered":
            return "is not on record"
        if call.fate == "refused" and not call.may_be_unrecorded and call.id is not None:
            return f"got an error ({call.shown}), and is not on record"
        return None
    if call.id is not None and completion.source == "gateway" and call.id != completion.id:
        return f"got the id {call.id}, and is on record as {completion.id}"
    if completion.source == "client":
        return _judge_posted(call, completion)
    if completion.request != call.request:
        return f"has another request on record ({completion.id})"
    if call.fate == "refused" and completion.status != "failed":
        return f"got an error ({call.shown}), and is {completion.status} ({completion.id})"
    if call.fate != "answered":
        return None
    if completion.status != "finished":
        return f"is {completion.status} ({completion.failure_kind}, {completion.id})"
    return _judge_bytes(call, completion)


def _judge_bytes(call: Call, completion: Completion) -> str | None:
    if call.kind == LOCAL:
        same = completion.response == call.answer
    else:
        same = write_again(KINDS[call.kind].path, completion) == call.answer
    return None if same else f"has another answer on record ({completion.id})"


def _judge_posted(call: Call, completion: Completion) -> str | None:
    """A posted call or a span: its request and its answer are those that were sent."""
    if completion.status != "finished":
        return f"was posted, and is {completion.status} ({completion.id})"
    sent = json.loads(call.request)
    if "request" not in sent:
        return None
    if json.loads(completion.request) != sent["request"]:
        return f"has another request on record ({completion.id})"
    received = completion.received or completion.response or b""
    if json.loads(received) != sent["response"]:
        return f"has another answer on record ({completion.id})"
    return None


def _count_more(texts: Sequence[str]) -> Iterable[str]:
    return [f"... and {len(texts)} more like the last"] if texts else []
