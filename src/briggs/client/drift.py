"""The client's watches of drift: targets that are asked the same again and again."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from briggs.client.connection import ServerConnection, encode_query, omit_none
from briggs.types.drift import DriftEvidence, DriftSource
from briggs.types.json import Object

_PATH = "/api/v1/drift"


class DriftWatch(Object):
    """A target that is watched."""

    id: str
    target: str
    source: DriftSource
    """`probes`, or `traffic`: calls are compared whose requests repeat."""
    created_at: str
    """ISO 8601."""
    every_s: float
    window_rounds: int
    """How many rounds are compared with as many earlier ones."""
    is_from_file: bool
    is_paused: bool
    evidence: DriftEvidence | None
    """What is compared. None before the first round that was answered."""
    tokens: list[str | None]
    asked_at: str | None
    failure: str | None
    """Why the last round has no answers."""


class DriftRound(Object):
    """The answers to all probes at one time."""

    at: str
    logprobs: list[float | None]
    texts: list[str | None]
    fingerprints: list[str]
    completion_ids: list[str]
    duration_ms: float | None
    completion_tokens: float | None
    failures: int
    p: float | None
    """The probability that chance alone makes the windows differ so."""
    seeded_repeats: float | None
    """The share of answers that are those of the round before. Of traffic, the share of pairs of
    the window that are the same. None where no seed was sent."""


class DriftMove(Object):
    """How far a probe moved."""

    probe: str
    difference: float
    """In nats; for texts, the share of answers that moved."""
    standardised: float
    said_before: str | None
    said_now: str | None


class DriftChange(Object):
    """A change of the answers, with its evidence."""

    text: str
    """The change in a sentence."""
    at: str
    from_at: str
    """The last round that was like those before."""
    until_at: str
    p: float
    mean_square: float
    largest: float
    moved: list[DriftMove]
    probes: int
    evidence: DriftEvidence
    fingerprints_before: list[str]
    fingerprints_now: list[str]
    duration_ms_before: float | None
    duration_ms_now: float | None
    seeded_repeats_before: float | None
    """The share of pairs of seeded answers to a request that are the same. None without a seed."""
    seeded_repeats_now: float | None
    seeded_repeats_across: float | None
    """Of pairs with one answer of each window."""


class DriftWatchDeleted(Object):
    """Confirms that a watch was stopped for good."""

    id: str
    deleted: bool


class _Watches(Object):
    data: list[DriftWatch]


class _Rounds(Object):
    data: list[DriftRound]


class _Changes(Object):
    data: list[DriftChange]


class _Asked(Object):
    change: DriftChange | None


class Drift:
    """`client.drift`. A watch is named by its id or its target."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def create(
        self,
        target: str,
        *,
        every_s: float | None = None,
        window_rounds: int | None = None,
        source: DriftSource | None = None,
    ) -> DriftWatch:
        """Watch a target from now on. Raises `Conflict` if it is watched already.

        With the source `traffic`, nothing is asked: calls are compared whose requests repeat.
        """
        body = omit_none(target=target, every_s=every_s, window_rounds=window_rounds, source=source)
        return await self._connection.request("POST", _PATH, DriftWatch, body=body)

    async def list(self) -> Sequence[DriftWatch]:
        """The watches, the oldest first."""
        return (await self._connection.request("GET", _PATH, _Watches)).data

    async def retrieve(self, watch: str) -> DriftWatch:
        """One watch. Raises `NotFound`."""
        return await self._connection.request("GET", _locate(watch), DriftWatch)

    async def delete(self, watch: str) -> DriftWatchDeleted:
        """Stop a watch for good, and forget its rounds. The calls stay on record."""
        return await self._connection.request("DELETE", _locate(watch), DriftWatchDeleted)

    async def pause(self, watch: str) -> DriftWatch:
        """Ask no more, until the watch is resumed. Raises `Conflict` if the file has it."""
        return await self._connection.request("POST", f"{_locate(watch)}/pause", DriftWatch)

    async def resume(self, watch: str) -> DriftWatch:
        """Ask a paused watch again."""
        return await self._connection.request("POST", f"{_locate(watch)}/resume", DriftWatch)

    async def ask(self, watch: str) -> DriftChange | None:
        """Ask all probes now. Returns the change that this shows."""
        path = f"{_locate(watch)}/rounds"
        return (await self._connection.request("POST", path, _Asked)).change

    async def list_rounds(self, watch: str, *, limit: int | None = None) -> Sequence[DriftRound]:
        """The newest rounds, the oldest of them first."""
        query = encode_query(limit=limit)
        path = f"{_locate(watch)}/rounds"
        return (await self._connection.request("GET", path, _Rounds, query=query)).data

    async def list_changes(
        self, watch: str, *, limit: int | None = None, offset: int | None = None
    ) -> Sequence[DriftChange]:
        """The changes that were found, the newest first."""
        query = encode_query(limit=limit, offset=offset)
        path = f"{_locate(watch)}/changes"
        return (await self._connection.request("GET", path, _Changes, query=query)).data


def _locate(watch: str) -> str:
    """The path of a watch. Targets have slashes, which stay."""
    return f"{_PATH}/{quote(watch)}"
