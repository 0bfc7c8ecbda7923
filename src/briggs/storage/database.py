"""What the store and its nouns need of a database: `sqlite/` or `postgres/`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, NamedTuple, Protocol

from sqlalchemy import ColumnElement, Connection, Row, Select, Table

from briggs.storage.zones import Zones

Durability = Literal["strict", "fsync", "relaxed"]


class Room(NamedTuple):
    """The room that a database takes, and what is left where it stands."""

    bytes: int
    free_bytes: int | None
    """None if only the server of the database knows."""


class NodeState(NamedTuple):
    """A node, as the others see it."""

    id: str
    name: str
    """The name of its machine, and the number of its process."""
    started_at: int
    """In Unix microseconds of the database's clock."""
    seen_at: int
    """When it last said that it lives, by the same clock."""
    version: str
    """Of its Briggs."""
    is_alive: bool
    has_left: bool
    """Whether it has stopped as it should."""
    is_keeper: bool


class NodeMessage(NamedTuple):
    """What a node has said to all others."""

    sender_id: str
    content: bytes


class OwnNode(Protocol):
    """The node that this process is, as its database knows it. For any thread."""

    @property
    def id(self) -> str: ...

    @property
    def is_keeper(self) -> bool:
        """Whether no other node can be the one that keeps order."""
        ...

    @property
    def term(self) -> int:
        """The number of the term in which this node keeps order. 0 if it does not."""
        ...

    @property
    def nodes(self) -> Sequence[NodeState]:
        """The nodes that live, and those that ended within the last hour, the oldest first."""
        ...

    @property
    def is_woken(self) -> bool:
        """Whether others can wake this node. Otherwise it looks for their messages."""
        ...

    @property
    def gaps(self) -> int:
        """How often messages may have been missed."""
        ...

    @property
    def lapses(self) -> int:
        """How often others may have taken this node for dead."""
        ...

    @property
    def was_frozen(self) -> bool:
        """Whether this node has missed what others said, and has not found it out yet."""
        ...

    def say(self, content: bytes) -> None:
        """Send a message to all others, soon."""
        ...

    def listen(self, take: Callable[[Sequence[NodeMessage]], None]) -> None:
        """Pass what others say from now on to `take`, in a thread of this node."""
        ...

    def list_recent(self, connection: Connection, *, within_s: float) -> Sequence[str]:
        """The nodes that live, or have lived within so many seconds."""
        ...


class Partition(NamedTuple):
    """The completions whose ids were made from a time on and before another, in Unix microseconds.
    Both are midnight in UTC.
    """

    begin: int
    end: int


class Partitions(Protocol):
    """The partitions of `completions` by time, of which each can be dropped as a whole.

    All but `list` run within a `migration`. They raise `Busy`, and then nothing has changed.
    """

    def list(self, connection: Connection) -> Sequence[Partition]:
        """The partitions by time, the oldest first. What is in none of them is not listed."""
        ...

    def make(self, connection: Connection, *, begin: int, days: int, count: int) -> None:
        """Make partitions of so many days, from a midnight on that no other has reached."""
        ...

    def take(
        self,
        connection: Connection,
        partition: Partition,
        *,
        kept: Callable[[Table], ColumnElement[bool]],
    ) -> None:
        """Take a partition out of `completions`. The rows that `kept` selects stay there."""
        ...

    def find_taken(self, connection: Connection) -> Table | None:
        """The oldest table that was taken out and is still there."""
        ...

    def drop_taken(self, connection: Connection, taken: Table) -> None:
        """Drop it with all of its rows."""
        ...


class Database(Protocol):
    """An open database. Only one thread at a time uses the connection that writes."""

    name: str
    """Where it is, for people: a folder, or an address without its password."""

    writer: Connection
    """The connection that writes. It commits each statement, except in a `transaction`."""

    remembered: dict[str, Any]
    """What the writer knows of the tables without reading them again. It is emptied when a
    transaction fails, and when another process has written what may be in it."""

    zones: Zones
    """What the completions of past hours range over. The writer tells it what changes."""

    partitions: Partitions | None
    """None if completions are only deleted one by one."""

    commits_quickly: bool
    """Whether a commit takes microseconds, so that the event loop can wait for it."""

    rules_out_segments: bool
    """Whether it looks through the words of segments more quickly than it sends them here."""

    batch_bytes_max: int
    """How much one transaction should write at most."""

    is_shared: bool
    """Whether other processes of this Briggs write too."""

    changed_at: int
    """When it was last noticed that another of them has called `note_change`, in Unix
    microseconds. A transaction notices what was committed before it."""

    def read(self) -> AbstractContextManager[Connection]:
        """A connection that only reads, for any thread."""
        ...

    def join(self, *, takes_over: bool, wants_to_keep: bool, timeout_s: float) -> OwnNode | None:
        """Become one of the nodes, once the tables are there, and maybe the one that keeps order.

        With `takes_over`, whoever had this data folder before has ended.

        Others take it for dead when they have not heard of it for `timeout_s`. Returns None if
        only processes of this machine can open this database. Raises `StoreUnavailable`.
        """
        ...

    @property
    def owner(self) -> str:
        """The name of this process, in the `started` calls that it answers."""
        ...

    def list_dead(
        self, connection: Connection, owners: Sequence[str | None]
    ) -> Sequence[str | None]:
        """The owners that do not answer any more. None owns the calls of an older Briggs."""
        ...

    # Transactions, on a connection of this database.

    def transaction(self, connection: Connection) -> AbstractContextManager[None]:
        """Run a block as a whole or not at all."""
        ...

    def migration(self, connection: Connection) -> AbstractContextManager[None]:
        """As `transaction`, for a change of the tables, which only one process makes at a time."""
        ...

    def savepoint(self, connection: Connection) -> AbstractContextManager[None]:
        """Undo what a block has written if it raises, and nothing else of the transaction."""
        ...

    def snapshot(self, connection: Connection) -> AbstractContextManager[None]:
        """Make all reads in the block see the same state, whatever is written meanwhile.

        In a transaction or another snapshot they do so already.
        """
        ...

    def time_limit(self, connection: Connection, seconds: float) -> AbstractContextManager[None]:
        """End a read that takes longer. Raises `TimeoutError`."""
        ...

    def is_in_term(self, connection: Connection, term: int) -> bool:
        """Whether no other node has taken over since a term of this one began.

        In a transaction of the writer, it stays so until the end of that.
        """
        ...

    def note_change(self, connection: Connection) -> None:
        """Note, in the transaction that changes it, that something has changed that other processes
        remember: the tasks, past hours, running calls that are deleted, and what there is to do.
        """
        ...

    def follow(self, connection: Connection) -> None:
        """Forget the zones if another process has noted a change, as this connection sees it."""
        ...

    def stream(
        self, connection: Connection, statement: Select[Any]
    ) -> AbstractContextManager[Iterable[Row[Any]]]:
        """The rows of a statement, few at a time. Not within a transaction or a snapshot."""
        ...

    # Statements that each database has in its own words.

    def insert_records(
        self, connection: Connection, rows: Sequence[Sequence[Any]], *, new: Sequence[bool] = ()
    ) -> int:
        """Write completions, as rows of `WRITTEN_COLUMNS`. Returns how many were written.

        A row that exists is replaced only while it is `started`, and only by a settled one. It
        keeps its `KEPT_COLUMNS`. `new` says of which rows nothing can be on record yet.
        """
        ...

    def forget_records(self, connection: Connection) -> None:
        """Free the memory of rows that were inserted last."""
        ...

    def replace_bodies(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
        """Store compressed bodies: request, response, received, preview, organization and id."""
        ...

    def empty_records(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
        """Replace the bodies of completions: an empty body, compressed, the time, organization
        and id of each."""
        ...

    def insert_missing(
        self, connection: Connection, table: Table, rows: Iterable[Sequence[Any]]
    ) -> int:
        """Insert the rows that do not exist yet, as values of all columns.

        Returns how many were inserted.
        """
        ...

    def copy_in(self, connection: Connection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Insert many rows that do not exist, as values of all columns. JSON is given as text."""
        ...

    def add(
        self, connection: Connection, table: Table, rows: Sequence[Sequence[Any]], *, column: str
    ) -> int:
        """Add to a column of some rows, given as numbers with keys. Returns how many there are."""
        ...

    def upsert(
        self, connection: Connection, table: Table, row: Mapping[str, Any], *, replaced: str
    ) -> None:
        """Insert a row, or replace one column of the row with this key."""
        ...

    def reshape(
        self,
        connection: Connection,
        table: Table,
        *,
        forgotten: Sequence[str],
        owner: tuple[Table, str] | None,
    ) -> None:
        """Create a table, or bring an old one to what `tables.py` says. Its rows stay.

        They lose what they have in the `forgotten` columns, if the table has to change. If they
        have no organization yet, it is that of the row of the `owner` whose id they have in a
        column. Those that nobody owns are left out.
        """
        ...

    # Upkeep, by the thread that writes.

    def store_failure(self, error: BaseException) -> str | None:
        """Why nothing can be written, and what to do. None if the error is about one row only."""
        ...

    def row_failure(self, error: BaseException) -> str:
        """Why one row was refused, in the words of the database or in better ones."""
        ...

    def fullness(self, more_bytes: int = 0) -> float:
        """How full the room for new transactions is, with so many bytes more. From 0 to 1."""
        ...

    def make_room(self, more_bytes: int, *, wait_s: float) -> None:
        """Make room for so many bytes. Raises `StoreUnavailable` if that takes longer."""
        ...

    def empty_log(self) -> None:
        """Called in idle moments while little room is left. What takes long goes on by itself."""
        ...

    def maintain(self) -> None:
        """Called after each transaction, to keep the room for new ones."""
        ...

    def erase(self, begin: int) -> int | None:
        """Take what was deleted out of a part of the files, from a place on; 0 is the first.

        Returns the next place, or None after the last. Returns the same place if that is not
        possible just now. Nothing that is stored changes.
        """
        ...

    def wait_for_others(self, wanted: bool) -> None:
        """Set whether the writer waits while another process writes, or fails at once."""
        ...

    def count_foreign_changes(self) -> int:
        """A number that changes when another process has written."""
        ...

    def measure(self) -> Room:
        """The room that it takes. May be called from any thread."""
        ...

    def find_failure(self) -> str | None:
        """Ask, on a connection of its own, why nothing can be written; None if it can. From any
        thread.
        """
        ...

    def give_up_after(self, seconds: float) -> AbstractContextManager[None]:
        """Make whatever the writer's connection does in the block fail if it takes longer."""
        ...

    def release_memory(self) -> None:
        """Give back memory that only large rows needed."""
        ...

    @property
    def log_bytes(self) -> int:
        """How much is in the write-ahead log."""
        ...

    @property
    def checkpoints(self) -> int:
        """How often the log was emptied in the background."""
        ...

    def close(self) -> None:
        """Close everything. Nothing that was committed is lost."""
        ...


def database_of(connection: Connection) -> Database:
    """The database that opened this connection."""
    database: Database = connection.get_execution_options()["database"]
    return database
