"""This process among the nodes of its database: a thread says that it lives, and what it says to
the others.

Messages are rows. Others are woken by NOTIFY, and look by themselves too. Through a pooler that
gives each transaction another connection of the server nobody can be woken, so all look often.

All times of the database are from its own clock, so that the clocks of the machines do not matter.
Here, time is counted by a clock that goes on while the process or the machine sleeps.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import psycopg
from sqlalchemy import URL, Connection

from briggs.storage import owners
from briggs.storage.database import NodeMessage, NodeState
from briggs.storage.postgres import connections
from briggs.storage.postgres.watchdog import Watchdog
from briggs.types.completions import create_id

logger = logging.getLogger(__name__)

BEATS = 5
"""A node says so many times within its timeout that it lives."""
BEAT_EVERY_S = 1.0
CLOSED_WITHIN_S = 2.0
KEPT_S = 3600
"""How long a node that is gone is remembered."""

LOOK_EVERY_S, LOOK_OFTEN_S = 2.0, 0.2
"""How often a node looks for messages, and how often if nothing wakes it."""
SETTLED_S = 5.0
"""A message is seen by then, however long its transaction has taken."""
MESSAGES_KEPT_S = 60
UNSENT_MAX = 10_000
"""So many messages wait while the database is away. They are about what is known soon anyway."""
SENT_AT_ONCE = 500

HELLO = b""
"""What a node says first."""

WRITERS_WAIT_S = 2
"""How long a node that takes over waits for those that write."""

KEEPER = "keeper"
"""The lease of the node that does what only one of them does."""


class Membership:
    """The node that this process is. Its properties may be read from any thread."""

    def __init__(self, url: URL, *, folder_id: str, timeout_s: float) -> None:
        self.id = f"node_{create_id()}"
        self._url = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._folder_id = folder_id
        self._version = version("briggs")
        self._timeout_s = timeout_s
        # A database that answers nothing is away. Only a node that was frozen itself has missed
        # what others said, so this is found out before the others take this node for dead.
        self._answered_within_s = max(timeout_s * 2 / 3, WRITERS_WAIT_S + 1)
        self._watchdog = Watchdog()
        self._wants_to_keep = False
        self._connection: psycopg.Connection[Any] | None = None
        self._alive_until = self._keeper_until = 0.0
        self._term = 0
        """The last term in which this node was the keeper."""
        self._nodes: Sequence[NodeState] = ()
        self._take: Callable[[Sequence[NodeMessage]], None] | None = None
        self._unsent: deque[bytes] = deque(maxlen=UNSENT_MAX)
        self._seen: dict[str, int] = {}
        """The messages that were taken, and when they were sent."""
        self._heard_to: int | None = None
        """By the database's clock. None if nothing was looked for yet."""
        self._heard_at = 0.0
        self.gaps = 0
        """How often messages may have been missed."""
        self._is_called = False
        """Whether others have said something that this node has not looked for."""
        self.is_woken = False
        """Whether others can wake this node. Otherwise it looks for their messages."""
        self.lapses = 0
        """How often others may have taken this node for dead."""
        self._has_failed = False
        self._waker, self._woken = socket.socketpair()
        for each in (self._waker, self._woken):
            each.setblocking(False)
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="briggs-node", daemon=True)

    @property
    def was_frozen(self) -> bool:
        """Whether this node has missed what others said, and has not found it out yet."""
        return _now() >= self._alive_until and not self._has_failed

    @property
    def is_keeper(self) -> bool:
        """Whether no other node can be the keeper now."""
        return self.term != 0

    @property
    def term(self) -> int:
        """The number of the term in which this node is the keeper. 0 if another one may be it."""
        return self._term if _now() < self._keeper_until else 0

    @property
    def nodes(self) -> Sequence[NodeState]:
        """The nodes as they were at the last beat, the oldest first."""
        return self._nodes

    def join(self, *, takes_over: bool, wants_to_keep: bool) -> None:
        """Become a node. With `takes_over`, whoever had this data folder before has ended.

        Raises the driver's errors.
        """
        self._wants_to_keep = wants_to_keep
        connection = self._connect()
        if takes_over:
            connection.execute(_END_FOLDER, {"folder": self._folder_id})
        self._beat()
        # What others said before is in the database.
        self._look()
        self._unsent.append(HELLO)
        self._thread.start()

    def list_dead(self, owned: Sequence[str | None], connection: Connection) -> list[str | None]:
        """The owners that are no node that lives. None owns the calls of an older Briggs.

        The processes of this data folder are on this machine, so it is known at once if one died.
        """
        living = psycopg.Cursor(connections.driver(connection)).execute(_LIST_LIVING).fetchall()
        ended = {*owners.list_dead([each[2] for each in living if each[1] == self._folder_id])}
        alive = {id for id, _, process in living if process not in ended}
        return [each for each in owned if each not in alive]

    def listen(self, take: Callable[[Sequence[NodeMessage]], None]) -> None:
        """Pass what others say from now on to `take`, in this node's thread."""
        self._take = take
        self._wake()

    def say(self, content: bytes) -> None:
        """Send a message to all others, soon."""
        self._unsent.append(content)
        self._wake()

    def is_in_term(self, connection: Connection, term: int) -> bool:
        """Whether no other node has become the keeper since this one's term began."""
        inner = connections.driver(connection)
        this = {"lease": KEEPER, "id": self.id, "term": term}
        return psycopg.Cursor(inner).execute(_IS_IN_TERM, this).fetchone() is not None

    def list_recent(self, connection: Connection, *, within_s: float) -> list[str]:
        """The nodes that live, or have lived within so many seconds."""
        inner = connections.driver(connection)
        within = {"within": round(within_s * 1e6)}
        return [id for (id,) in psycopg.Cursor(inner).execute(_LIST_RECENT, within)]

    def close(self) -> None:
        """Leave the others, when what was said is sent."""
        self._is_closed.set()
        self._wake()
        if self._thread.is_alive():
            self._thread.join(CLOSED_WITHIN_S)
        self._waker.close()
        self._woken.close()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            self._waker.send(b"!")

    def _run(self) -> None:
        beat_every_s = min(BEAT_EVERY_S, self._timeout_s / BEATS)
        beat_at = look_at = 0.0
        while not self._is_closed.is_set():
            try:
                is_woken = self._wait(min(beat_at, look_at) - _now())
                with self._watchdog.watch(self._connect().fileno(), self._answered_within_s):
                    self._send()
                    if is_woken or _now() >= look_at:
                        self._look()
                        look_at = _now() + (LOOK_EVERY_S if self.is_woken else LOOK_OFTEN_S)
                    if _now() >= beat_at:
                        beat_at = _now() + beat_every_s
                        self._beat()
            except psycopg.Error as error:
                # Whoever writes tells people what is wrong.
                logger.debug("this node cannot reach the others: %s", error)
                self._has_failed = True
                self._hang_up()
                beat_at = look_at = _now() + beat_every_s
        with contextlib.suppress(psycopg.Error):
            self._send()
            self._connect().execute(_LEAVE, {"id": self.id})
        self._hang_up()
        self._watchdog.close()

    def _wait(self, seconds: float) -> bool:
        """Wait for a call of this process, or of others. Returns whether others woke us."""
        connection = self._connection
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            if connection is not None and not connection.closed:
                selector.register(connection.fileno(), selectors.EVENT_READ)
            selector.select(0 if self._is_called else max(0.0, seconds))
        with contextlib.suppress(BlockingIOError):
            while self._woken.recv(4096):
                pass
        if connection is not None and not connection.closed:
            inner = connection.pgconn
            inner.consume_input()
            while (notice := inner.notifies()) is not None:
                self._is_called |= notice.be_pid != inner.backend_pid
        is_called, self._is_called = self._is_called, False
        return is_called

    def _note_call(self, notice: psycopg.Notify) -> None:
        """Others woke this node while it waited for the result of a statement."""
        connection = self._connection
        self._is_called |= connection is None or notice.pid != connection.pgconn.backend_pid

    def _send(self) -> None:
        """Send what was said, unless nobody else lives."""
        while self._unsent:
            some = [self._unsent[at] for at in range(min(SENT_AT_ONCE, len(self._unsent)))]
            ids = [create_id() for _ in some]
            sent = {"ids": ids, "contents": some, "id": self.id}
            self._connect().execute(_SEND, sent)
            for _ in some:
                self._unsent.popleft()

    def _look(self) -> None:
        """Take what others have said."""
        connection = self._connect()
        is_first = self._heard_to is None
        if not is_first and _now() - self._heard_at > MESSAGES_KEPT_S / 2:
            self.gaps += 1
        since = (self._heard_to or 0) - round(SETTLED_S * 1e6)
        rows = connection.execute(_HEAR, {"since": since, "id": self.id}).fetchall()
        self._heard_at, self._heard_to = _now(), rows[0][0]
        new = [row for row in rows if row[1] is not None and row[1] not in self._seen]
        self._seen = {id: at for id, at in self._seen.items() if at >= since}
        self._seen |= {row[1]: row[2] for row in new}
        said = [NodeMessage(row[3], row[4]) for row in new if row[4] != HELLO]
        if said and not is_first and self._take is not None:
            self._take(said)
        if len(said) < len(new):
            # Somebody has joined.
            self._beat()

    def _beat(self) -> None:
        """Say that this node lives, become or stay the keeper if that may be, and look around."""
        began = _now()
        connection = self._connect()
        beat = {
            "id": self.id,
            "name": f"{platform.node()} {os.getpid()}",
            "folder": self._folder_id,
            "process": owners.describe(os.getpid()),
            "version": self._version,
            "timeout": round(self._timeout_s * 1e6),
        }
        connection.execute(_BEAT, beat)
        self.lapses += began > self._alive_until > 0
        self._has_failed = False
        self._alive_until = began + self._timeout_s
        if self._wants_to_keep:
            self._keep(connection, began=began)
        found = connection.execute(_LOOK, {"lease": KEEPER}).fetchall()
        self._nodes = [NodeState(*each) for each in found]
        if self.is_keeper:
            kept = {"kept": KEPT_S * 1_000_000, "messages": MESSAGES_KEPT_S * 1_000_000}
            connection.execute(_FORGET, kept)
            connection.execute(_FORGET_MESSAGES, kept)

    def _keep(self, connection: psycopg.Connection[Any], *, began: float) -> None:
        """Stay the keeper, or become it if nobody is."""
        lease = {"id": self.id, "timeout": round(self._timeout_s * 1e6), "lease": KEEPER}
        row = connection.execute(_KEEP_ON, lease).fetchone()
        if row is None and connection.execute(_IS_FREE, lease).fetchone() is not None:
            row = self._take_over(connection, lease)
        if row is None or row[0] != self._term:
            self._keeper_until = 0.0
        if row is not None:
            self._term = row[0]
            self._keeper_until = began + self._timeout_s

    def _take_over(
        self, connection: psycopg.Connection[Any], lease: dict[str, Any]
    ) -> tuple[Any, ...] | None:
        """Begin a term while nobody writes. So what was written before belongs to the last one, and
        a keeper that wants to write afterwards finds out that it is none any more.
        """
        try:
            with connection.transaction():
                begin = f"SET LOCAL lock_timeout TO '{WRITERS_WAIT_S}s'"
                connections.run(connection, f"{begin}; {connections.wait_for_writers()}")
                return connection.execute(_TAKE_OVER, lease).fetchone()
        except psycopg.errors.LockNotAvailable:
            # It is tried again with the next beat.
            return None

    def _connect(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                self._url,
                connect_timeout=connections.CONNECT_TIMEOUT_S,
                application_name="briggs node",
                autocommit=True,
                # A pooler may give each transaction another connection of the server.
                prepare_threshold=None,
                **connections.KEPT_ALIVE,
            )
            self._open_ears(self._connection)
        return self._connection

    def _open_ears(self, connection: psycopg.Connection[Any]) -> None:
        """Let others wake this node, unless a pooler stands in between.

        A pooler gives its callers numbers of its own instead of those of the server's processes.
        """
        inner = connection.pgconn
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        self.is_woken = row is not None and row[0] == inner.backend_pid
        if self.is_woken:
            connection.add_notify_handler(self._note_call)
            connection.execute("LISTEN briggs")

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _now() -> float:
    """Seconds of a clock that goes on during sleep, where there is one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


_NOW = b"(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
"""Unix microseconds of the database's clock."""

_BEAT = b"""
    INSERT INTO nodes (id, name, folder_id, process, version, started_at, seen_at, alive_until)
    VALUES (%(id)s, %(name)s, %(folder)s, %(process)s, %(version)s, NOW, NOW, NOW + %(timeout)s)
    ON CONFLICT (id) DO UPDATE
    SET alive_until = excluded.alive_until, seen_at = excluded.seen_at, has_left = false
""".replace(b"NOW", _NOW)
_KEEP_ON = b"""
    UPDATE leases SET until = NOW + %(timeout)s WHERE name = %(lease)s AND node_id = %(id)s
    RETURNING term
""".replace(b"NOW", _NOW)
_IS_FREE = b"""
    SELECT WHERE NOT EXISTS (SELECT FROM leases WHERE name = %(lease)s AND until >= NOW)
""".replace(b"NOW", _NOW)
_TAKE_OVER = b"""
    INSERT INTO leases (name, node_id, until, term)
    VALUES (%(lease)s, %(id)s, NOW + %(timeout)s, 1)
    ON CONFLICT (name) DO UPDATE
    SET node_id = excluded.node_id, until = excluded.until, term = leases.term + 1
    WHERE leases.until < NOW
    RETURNING term
""".replace(b"NOW", _NOW)
_IS_IN_TERM = b"""
    SELECT FROM leases WHERE name = %(lease)s AND node_id = %(id)s AND term = %(term)s
"""
_LOOK = b"""
    SELECT nodes.id, nodes.name, nodes.started_at, nodes.seen_at, nodes.version,
        nodes.alive_until >= NOW, nodes.has_left, coalesce(leases.until >= NOW, false)
    FROM nodes LEFT JOIN leases ON leases.node_id = nodes.id AND leases.name = %(lease)s
    ORDER BY nodes.started_at, nodes.id
""".replace(b"NOW", _NOW)
_LIST_LIVING = b"SELECT id, folder_id, process FROM nodes WHERE alive_until >= NOW".replace(
    b"NOW", _NOW
)
_LIST_RECENT = b"SELECT id FROM nodes WHERE alive_until >= NOW - %(within)s".replace(b"NOW", _NOW)
_END_FOLDER = b"""
    WITH ended AS (
        UPDATE nodes SET alive_until = least(alive_until, NOW - 1) WHERE folder_id = %(folder)s
        RETURNING id
    )
    UPDATE leases SET until = least(until, NOW - 1) WHERE node_id IN (SELECT id FROM ended)
""".replace(b"NOW", _NOW)
_LEAVE = b"""
    WITH ended AS (
        UPDATE nodes SET alive_until = NOW - 1, has_left = true WHERE id = %(id)s RETURNING id
    )
    UPDATE leases SET until = NOW - 1 WHERE node_id IN (SELECT id FROM ended)
""".replace(b"NOW", _NOW)
_SEND = b"""
    WITH sent AS (
        INSERT INTO node_messages (id, sender_id, sent_at, content)
        SELECT new.id, %(id)s, NOW, new.content
        FROM unnest(%(ids)s::text[], %(contents)s::bytea[]) AS new(id, content)
        WHERE EXISTS (SELECT FROM nodes WHERE id <> %(id)s AND alive_until >= NOW)
        RETURNING 1
    )
    SELECT pg_notify('briggs', '') FROM (SELECT count(*) AS count FROM sent) AS counted
    WHERE count > 0
""".replace(b"NOW", _NOW)
_HEAR = b"""
    SELECT clock.now, said.id, said.sent_at, said.sender_id, said.content
    FROM (SELECT NOW AS now) AS clock LEFT JOIN node_messages AS said
        ON said.sent_at >= %(since)s AND said.sender_id <> %(id)s
    ORDER BY said.sent_at, said.id
""".replace(b"NOW", _NOW)
_FORGET_MESSAGES = b"DELETE FROM node_messages WHERE sent_at < NOW - %(messages)s".replace(
    b"NOW", _NOW
)
_FORGET = b"DELETE FROM nodes WHERE alive_until < NOW - %(kept)s".replace(b"NOW", _NOW)
