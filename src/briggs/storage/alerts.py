"""Stores the states of alerts, and the messages that have not arrived yet."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy import Connection, delete, select

from briggs.storage import rows
from briggs.storage.access import Access
from briggs.storage.tables import alert_states, deliveries
from briggs.types.alerts import AlertState, Delivery


class Stored(msgspec.Struct, kw_only=True, frozen=True):
    """What is stored of the alerts of all organizations."""

    states: Sequence[AlertState]
    deliveries: Sequence[Delivery]
    """The oldest first."""


class Alerts:
    """`store.alerts`."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def read(self) -> Stored:
        """Everything that is stored, of all organizations."""
        return await self._access.read(_read)

    async def write(
        self,
        *,
        states: Collection[AlertState],
        deliveries: Collection[Delivery],
        removed: Collection[tuple[str, str]],
    ) -> None:
        """Replace these states and deliveries, and remove deliveries, by organization and id, in
        one step."""
        await self._access.act(
            lambda connection: _write(connection, states, deliveries, removed=removed)
        )


def _read(connection: Connection) -> Stored:
    waiting = select(deliveries).order_by(deliveries.c.created_at, deliveries.c.id)
    return Stored(
        states=[rows.decode(row, AlertState) for row in connection.execute(select(alert_states))],
        deliveries=[rows.decode(row, Delivery) for row in connection.execute(waiting)],
    )


def _write(
    connection: Connection,
    states: Collection[AlertState],
    messages: Collection[Delivery],
    *,
    removed: Collection[tuple[str, str]],
) -> None:
    for state in states:
        ours = alert_states.c.organization_id == state.organization_id
        connection.execute(delete(alert_states).where(ours, alert_states.c.name == state.name))
        connection.execute(alert_states.insert().values(rows.encode(state, table=alert_states)))
    columns = deliveries.c
    for owner, id in {*removed, *((each.organization_id, each.id) for each in messages)}:
        this = (columns.organization_id == owner, columns.id == id)
        connection.execute(delete(deliveries).where(*this))
    for message in messages:
        connection.execute(deliveries.insert().values(rows.encode(message, table=deliveries)))
