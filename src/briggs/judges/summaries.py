"""How far each judge of a list can be trusted, in sentences that no list has to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from briggs.judges.trust import read_trust
from briggs.judges.verdicts import FieldTrust, TrustVerdict
from briggs.storage import Store
from briggs.types.fresh import Fresh
from briggs.types.judges import Judge

FRESH_S = 60.0
"""A sentence is measured again when somebody looks at it after this time, or a run has ended."""
WAIT_S = 1.0
"""How long the first list waits for the sentences."""


class TrustSummary(msgspec.Struct, kw_only=True, frozen=True):
    """The sentence about the newest version of a judge, for the fields that have the same."""

    fields: list[str]
    verdict: TrustVerdict
    sentence: str


class Summaries:
    """The sentences of the judges that somebody looks at. One judge is measured at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._room = asyncio.Semaphore(1)
        self._known: Fresh[Judge, Sequence[TrustSummary] | None] = Fresh(
            self._measure, unknown=None, fresh_s=FRESH_S, wait_s=WAIT_S
        )

    async def read(self, judge: Judge) -> Sequence[TrustSummary] | None:
        """The sentences of a judge, as far as they are known by now. None if they are not."""
        return await self._known.read(_name(judge), judge)

    async def read_all(self, judges: Sequence[Judge]) -> list[Sequence[TrustSummary] | None]:
        """The sentences of several judges, which are waited for together."""
        return await asyncio.gather(*(self.read(each) for each in judges))

    def refresh(self, judge: Judge) -> None:
        """Measure a judge anew, in the background."""
        self._known.refresh(_name(judge), judge)

    async def close(self) -> None:
        """Measure nothing more, since the store is about to close."""
        await self._known.close()

    async def _measure(self, judge: Judge) -> Sequence[TrustSummary]:
        async with self._room:
            return summarise((await read_trust(self._store, judge)).fields)


def summarise(fields: Sequence[FieldTrust]) -> list[TrustSummary]:
    """The sentences of a report, each once with all the fields that it is about."""
    together: dict[tuple[TrustVerdict, str], list[str]] = {}
    for field in fields:
        together.setdefault((field.verdict, field.sentence), []).append(field.name)
    return [
        TrustSummary(fields=names, verdict=verdict, sentence=sentence)
        for (verdict, sentence), names in together.items()
    ]


def _name(judge: Judge) -> str:
    return f"{judge.organization_id} {judge.id} {judge.version}"
