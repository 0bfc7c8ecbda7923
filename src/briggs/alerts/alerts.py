"""Watches the alerts of the file, and delivers what there is to tell until it has arrived."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial

from briggs.alerts import mail, webhooks
from briggs.alerts.measures import Growth, measure
from briggs.gateway.calls import Gateway
from briggs.settings import AlertSettings, Settings
from briggs.storage import Store
from briggs.types.alerts import AlertState, Delivery
from briggs.types.background import logging_errors
from briggs.types.completions import create_id, current_time_us
from briggs.types.errors import BriggsError
from briggs.types.keeping import Keeping, find_term
from briggs.types.peers import Alone, Peers
from briggs.types.times import iso

logger = logging.getLogger("briggs")

UNRECORDED = "unrecorded"
"""The topic on which the keeper asks the others how many calls they could not record."""

EVERY_S = 5.0
SENDING_MAX = 4
"""How many messages are sent at once, each by a thread."""

RETRIES_S = (5.0, 30.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 36_000.0)
"""The pauses between attempts, about 30 hours together."""

_Key = tuple[str, str]
"""An organization and the name of an alert."""


class Alerts:
    """The states of all alerts. What is known here is also on the disk, as soon as it can be."""

    def __init__(self, gateway: Gateway, *, store: Store, peers: Peers | None = None) -> None:
        self._gateway = gateway
        self._store = store
        self._peers = peers or Alone()
        self._peers.handle(UNRECORDED, lambda _: b"%d" % self._count_unrecorded())
        self._keeping = Keeping(peers)
        self._term = 0
        """The last term in which this process measured them. Otherwise it reads what is stored."""
        self._states: dict[_Key, AlertState] = {}
        self._waiting: dict[str, Delivery] = {}
        self._growths: dict[str, Growth] = {}
        self._unsaved_states: set[_Key] = set()
        self._unsaved: set[tuple[str, str]] = set()
        """The ids of deliveries that are new, changed or removed."""
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None
        self.outcomes: Counter[str] = Counter()
        """Attempts to deliver: `delivered`, `failed`, and `given_up` after the last."""

    async def start(self) -> None:
        """Read what is stored, and begin to watch."""
        await self._read()
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop. What did not arrive is tried again after the next start."""
        tasks = [*self._sending.values(), *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def list_firing(self, *, organization_id: str | None) -> Sequence[AlertState]:
        """The alerts that fire, of one organization, or of all if that is None."""
        names = {alert.name for alert in self._settings.file.alerts}
        return [
            state
            for state in self._states.values()
            if state.is_firing
            and state.name in names
            and organization_id in (None, state.organization_id)
        ]

    @property
    def _settings(self) -> Settings:
        return self._gateway.running.settings

    async def _read(self) -> None:
        stored = await self._store.alerts.read()
        self._states = {(each.organization_id, each.name): each for each in stored.states}
        self._waiting = {each.id: each for each in stored.deliveries}

    async def _run(self) -> None:
        while True:
            with logging_errors(
                waiting="alerts cannot be checked", failed="Alerts could not be checked"
            ):
                await self._go_on()
            await asyncio.sleep(EVERY_S)

    async def _go_on(self) -> None:
        """Measure and tell, if that is for this process. Otherwise learn what the keeper wrote."""
        if self._keeping.is_ours:
            await self._keeping.do(self._tell)
        else:
            await self._read()

    async def _tell(self) -> None:
        term = find_term() or 0
        if term != self._term and self._peers.describe():
            # Another process may have been the keeper since.
            await self._read()
        self._term = term
        await self._watch()
        await self._save()
        self._deliver()

    async def _watch(self) -> None:
        """Measure every alert, and note those whose state has changed."""
        for alert in self._settings.file.alerts:
            organization = await self._store.organizations.find(alert.organization)
            if organization is None:
                continue
            try:
                value = await self._measure(alert, organization_id=organization.id)
            except BriggsError as error:
                # Nothing is known, so nothing changes.
                logger.warning("the alert %r cannot be measured: %s", alert.name, error)
                continue
            before = self._states.get((organization.id, alert.name))
            is_firing = value is not None and value > alert.above
            if is_firing != (before is not None and before.is_firing):
                state = AlertState(
                    organization_id=organization.id,
                    name=alert.name,
                    is_firing=is_firing,
                    since_at=current_time_us(),
                    value=value or 0.0,
                )
                self._change(alert, state)

    async def _measure(self, alert: AlertSettings, *, organization_id: str) -> float | None:
        if alert.measure == "unrecorded":
            others = await self._peers.ask(UNRECORDED)
            count = self._count_unrecorded() + sum(map(int, others))
            growth = self._growths.setdefault(alert.name, Growth())
            return growth.add(count, now=time.monotonic(), window_s=alert.window_s)
        return await measure(
            alert, organization_id=organization_id, store=self._store, now=current_time_us()
        )

    def _count_unrecorded(self) -> int:
        """How many calls are not on record since this process began."""
        return self._gateway.record.unrecorded + self._store.unrecorded

    def _change(self, alert: AlertSettings, state: AlertState) -> None:
        key = (state.organization_id, state.name)
        self._states[key] = state
        self._unsaved_states.add(key)
        word = "fires" if state.is_firing else "is resolved"
        logger.warning("the alert %r %s: %s", alert.name, word, _describe(alert, state))
        for delivery in _write_deliveries(alert, state):
            self._waiting[delivery.id] = delivery
            self._unsaved.add((delivery.organization_id, delivery.id))

    async def _save(self) -> None:
        """Write what has changed. While that fails, the messages go out all the same."""
        if not self._unsaved and not self._unsaved_states:
            return
        states, ids = self._unsaved_states, self._unsaved
        self._unsaved_states, self._unsaved = set(), set()
        try:
            await self._store.alerts.write(
                states=[self._states[key] for key in states],
                deliveries=[self._waiting[id] for _, id in ids if id in self._waiting],
                removed=[(owner, id) for owner, id in ids if id not in self._waiting],
            )
        except BriggsError:
            self._unsaved_states |= states
            self._unsaved |= ids

    def _deliver(self) -> None:
        now = current_time_us()
        for delivery in self._waiting.values():
            if len(self._sending) >= SENDING_MAX:
                return
            if delivery.next_at <= now and delivery.id not in self._sending:
                task = self._keeping.begin(self._send(delivery))
                self._sending[delivery.id] = task
                task.add_done_callback(lambda _, id=delivery.id: self._sending.pop(id))  # type: ignore[misc]

    async def _send(self, delivery: Delivery) -> None:
        await self._store.require_term()
        delivery.attempts += 1
        try:
            await asyncio.to_thread(_send, delivery, self._settings)
        except webhooks.Undelivered as error:
            delivery.failure = str(error)
            if error.is_final or delivery.attempts > len(RETRIES_S):
                self.outcomes["given_up"] += 1
                self._waiting.pop(delivery.id, None)
                logger.error("a message about an alert is given up: %s", error)
            else:
                self.outcomes["failed"] += 1
                pause_s = RETRIES_S[delivery.attempts - 1]
                delivery.next_at = current_time_us() + round(pause_s * 1e6)
                logger.warning("a message about an alert did not arrive: %s", error)
        else:
            self.outcomes["delivered"] += 1
            self._waiting.pop(delivery.id, None)
        self._unsaved.add((delivery.organization_id, delivery.id))
        await self._save()


def _send(delivery: Delivery, settings: Settings) -> None:
    """Send a message by what the file says now. Raises `Undelivered`."""
    file, environment = settings.file, settings.environment
    if delivery.webhook is not None:
        webhook = file.webhooks.get(delivery.webhook)
        if webhook is None:
            raise webhooks.Unwanted(f"the file has no webhook '{delivery.webhook}' any more")
        body = delivery.body.encode()
        try:
            secret = webhooks.read_secret(environment.get(webhook.secret_variable, ""))
        except ValueError as error:
            message = f"the secret in {webhook.secret_variable} cannot be used: {error}"
            raise webhooks.Undelivered(message) from error
        headers = webhooks.sign(body, id=delivery.id, timestamp=int(time.time()), secret=secret)
        webhooks.post(webhook.url, body, headers=headers, allow_private=webhook.allow_private)
        return
    if file.smtp is None or delivery.email is None:
        raise webhooks.Unwanted("the file has no [smtp] any more")
    event = json.loads(delivery.body)
    data = event["data"]
    state = "fires" if event["type"] == FIRING else "is resolved"
    mail.send(
        to=delivery.email,
        subject=f"Briggs: {data['alert']} {state}",
        text="\n".join([data["text"], "", *(f"{name}: {data[name]}" for name in data)]),
        id=delivery.id,
        smtp=file.smtp,
        environment=environment,
    )


FIRING, RESOLVED = "alert.firing", "alert.resolved"
_WORDS = {
    "failure_rate": ("of all calls failed", "{:.1%}"),
    "cost_usd": ("was spent", "${:,.2f}"),
    "p95_s": ("is the time that 95 % of the answers keep", "{:.2f} s"),
    "unrecorded": ("calls are not on record", "{:.0f}"),
    "drift": ("changes of the answers", "{:.0f}"),
}
_WORDS_OF_ONE = {"unrecorded": "call is not on record", "drift": "change of the answers"}


def _write_deliveries(alert: AlertSettings, state: AlertState) -> Iterator[Delivery]:
    data = {
        "alert": alert.name,
        "text": _describe(alert, state),
        "measure": alert.measure,
        "value": state.value,
        "above": alert.above,
        "window_s": alert.window_s,
        "model": alert.model,
        "tag": alert.tag,
        "organization": alert.organization,
        "since": iso(state.since_at),
    }
    kind = FIRING if state.is_firing else RESOLVED
    body = json.dumps({"type": kind, "timestamp": iso(state.since_at), "data": data})
    create = partial(
        Delivery,
        organization_id=state.organization_id,
        body=body,
        created_at=state.since_at,
        next_at=state.since_at,
    )
    for name in alert.webhooks:
        yield create(id=f"msg_{create_id()}", webhook=name)
    for address in alert.emails:
        yield create(id=f"msg_{create_id()}", email=address)


def _describe(alert: AlertSettings, state: AlertState) -> str:
    words, form = _WORDS[alert.measure]
    if state.value == 1:
        words = _WORDS_OF_ONE.get(alert.measure, words)
    of = "".join(
        f" of {name} {value}"
        for name, value in (("model", alert.model), ("tag", alert.tag))
        if value is not None
    )
    return (
        f"{form.format(state.value)} {words}{of} in the last {alert.window_s:g} s; the limit is "
        f"{form.format(alert.above)}."
    )
