"""This process among the nodes of its database: a thread says that it lives, and who else does.

All times of the database are from its own clock, so that the clocks of the machines do not matter.
Here, time is counted by a clock that goes on while the process or the machine sleeps.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import threading
import time
from collections.abc import Sequence
from typing import Any

import psycopg
from sqlalchemy import URL

from briggs.storage import owners
from briggs.storage.database import NodeState
from briggs.storage.postgres.connections import CONNECT_TIMEOUT_S
from briggs.types.completions import create_id

logger = logging.getLogger(__name__)

BEATS = 5
"""A node says so many times within its timeout that it lives."""
BEAT_EVERY_S = 1.0
CLOSED_WITHIN_S = 2.0
KEPT_S = 3600
"""How long a node that is gone is remembered."""

KEEPER = "keeper"
"""The lease of the node that does what only one of them does."""


class Membership:
    """The node that this process is. Its properties may be read from any thread."""

    def __init__(self, url: URL, *, folder_id: str, timeout_s: float) -> None:
        self.id = f"node_{create_id()}"
        self._url = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._folder_id = folder_id
        self._timeout_s = timeout_s
        self._wants_to_keep = False
        self._connection: psycopg.Connection[Any] | None = None
        self._alive_until = self._keeper_until = 0.0
        self._nodes: Sequence[NodeState] = ()
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="briggs-node", daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether the others take this node for alive."""
        return _now() < self._alive_until

    @property
    def is_keeper(self) -> bool:
        """Whether no other node can be the keeper now."""
        return _now() < self._keeper_until

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
        self._thread.start()

    def list_dead(
        self, owned: Sequence[str | None], connection: psycopg.Connection[Any]
    ) -> list[str | None]:
        """The owners that are no node that lives. None owns the calls of an older Briggs.

        The processes of this data folder are on this machine, so it is known at once if one died.
        """
        living = psycopg.Cursor(connection).execute(_LIST_LIVING).fetchall()
        ended = {*owners.list_dead([each[2] for each in living if each[1] == self._folder_id])}
        alive = {id for id, _, process in living if process not in ended}
        return [each for each in owned if each not in alive]

    def close(self) -> None:
        """Leave the others."""
        self._is_closed.set()
        if self._thread.is_alive():
            self._thread.join(CLOSED_WITHIN_S)

    def _run(self) -> None:
        every_s = min(BEAT_EVERY_S, self._timeout_s / BEATS)
        while not self._is_closed.wait(every_s):
            try:
                self._beat()
            except psycopg.Error as error:
                # Whoever writes tells people what is wrong.
                logger.debug("this node cannot say that it lives: %s", error)
                self._hang_up()
        with contextlib.suppress(psycopg.Error):
            self._connect().execute(_LEAVE, {"id": self.id})
        self._hang_up()

    def _beat(self) -> None:
        """Say that this node lives, become or stay the keeper if that may be, and look around."""
        began = _now()
        connection = self._connect()
        beat = {
            "id": self.id,
            "name": f"{platform.node()} {os.getpid()}",
            "folder": self._folder_id,
            "process": owners.describe(os.getpid()),
            "timeout": round(self._timeout_s * 1e6),
        }
        connection.execute(_BEAT, beat)
        self._alive_until = began + self._timeout_s
        if self._wants_to_keep:
            lease = {"id": self.id, "timeout": beat["timeout"], "lease": KEEPER}
            if connection.execute(_KEEP, lease).rowcount:
                self._keeper_until = began + self._timeout_s
            else:
                self._keeper_until = 0.0
        found = connection.execute(_LOOK, {"lease": KEEPER}).fetchall()
        self._nodes = [NodeState(*each) for each in found]
        if self.is_keeper:
            connection.execute(_FORGET, {"kept": KEPT_S * 1_000_000})

    def _connect(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                self._url,
                connect_timeout=CONNECT_TIMEOUT_S,
                application_name="briggs node",
                autocommit=True,
                # A pooler may give each transaction another connection of the server.
                prepare_threshold=None,
                **_KEPT_ALIVE,
            )
        return self._connection

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _now() -> float:
    """Seconds of a clock that goes on during sleep, where there is one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


_KEPT_ALIVE: Any = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""Finds out within about ten seconds that the other machine is gone."""

_NOW = b"(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
"""Unix microseconds of the database's clock."""

_BEAT = b"""
    INSERT INTO nodes (id, name, folder_id, process, started_at, alive_until)
    VALUES (%(id)s, %(name)s, %(folder)s, %(process)s, NOW, NOW + %(timeout)s)
    ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until, has_left = false
""".replace(b"NOW", _NOW)
_KEEP = b"""
    INSERT INTO leases (name, node_id, until) VALUES (%(lease)s, %(id)s, NOW + %(timeout)s)
    ON CONFLICT (name) DO UPDATE SET node_id = excluded.node_id, until = excluded.until
    WHERE leases.node_id = excluded.node_id OR leases.until < NOW
""".replace(b"NOW", _NOW)
_LOOK = b"""
    SELECT nodes.id, nodes.name, nodes.started_at, nodes.alive_until >= NOW, nodes.has_left,
        coalesce(leases.until >= NOW, false)
    FROM nodes LEFT JOIN leases ON leases.node_id = nodes.id AND leases.name = %(lease)s
    ORDER BY nodes.started_at, nodes.id
""".replace(b"NOW", _NOW)
_LIST_LIVING = b"SELECT id, folder_id, process FROM nodes WHERE alive_until >= NOW".replace(
    b"NOW", _NOW
)
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
_FORGET = b"DELETE FROM nodes WHERE alive_until < NOW - %(kept)s".replace(b"NOW", _NOW)
