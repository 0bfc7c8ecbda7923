"""Sorts calls by named prompts, in the background, a few at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from briggs.evals.prompt_versions import DISTANCE_MAX, NearVersion, find_nearest
from briggs.evals.prompts import hash_text, read_system
from briggs.storage import Query, Store
from briggs.storage.prompts import SortedCall
from briggs.types.background import logging_errors
from briggs.types.completion_filters import parse_completion_filter
from briggs.types.completions import Completion, current_time_us
from briggs.types.keeping import Keeping
from briggs.types.peers import Peers
from briggs.types.prompts import PromptPlace, PromptVersion

logger = logging.getLogger("briggs")

EVERY_S = 5.0
PAGE = 50
_PAGE_BYTES = 16 * 1024 * 1024
LOOKED_BACK_MAX = 100_000
"""So many of the newest calls are looked at when a prompt gets a name or a version."""
_LAG_US = 10_000_000
"""Calls that began later are looked for again: one that began before may be recorded after them."""
_AGAIN_US = 3_600_000_000
"""Every hour, and after a start, the calls of the last hour are looked at again: some are logged
later than they began."""
_NOTED_US = 60_000_000
"""How much further the work must be for that to be stored."""
_LATE_MAX = 10_000
"""So many calls that still run are remembered."""
_TEXTS_MAX = 5_000
"""So many texts are remembered with the version that they have."""


class PromptSorting:
    """What sorts calls by named prompts. One for a server; without named prompts it rests."""

    def __init__(self, store: Store, *, peers: Peers | None = None) -> None:
        self._store = store
        self._keeping = Keeping(peers)
        self._sorters: dict[str, _Sorter] = {}
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()

    async def start(self) -> None:
        """Begin to sort."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop. The next start goes on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def hurry(self) -> None:
        """Look now, because something was named or merged."""
        self._wake.set()

    async def _run(self) -> None:
        while True:
            with logging_errors(
                waiting="calls cannot be sorted by prompts",
                failed="Calls could not be sorted by prompts",
            ):
                await self._keeping.do(self._go_on)
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), EVERY_S)

    async def _go_on(self) -> None:
        begins: dict[str, int] = {}
        for prompt in await self._store.prompts.list(organization_id=None):
            begin = begins.get(prompt.organization_id, prompt.sorted_to)
            begins[prompt.organization_id] = min(begin, prompt.sorted_to)
        for id in self._sorters.keys() - begins.keys():
            del self._sorters[id]
        for id, begin in begins.items():
            if id not in self._sorters:
                self._sorters[id] = _Sorter(self._store, organization_id=id)
            await self._sorters[id].go_on(begin)


class _Sorter:
    """Sorts the calls of one organization, the oldest first."""

    def __init__(self, store: Store, *, organization_id: str) -> None:
        self._store = store
        self._organization_id = organization_id
        self._versions: Sequence[PromptVersion] | None = None
        self._places: OrderedDict[bytes, PromptPlace | None] = OrderedDict()
        """The version of each text that was seen lately."""
        self._to = self._noted = self._again_at = 0
        self._seen: dict[str, int] = {}
        """The calls that began after `_to` and were looked at, with their times."""
        self._late: dict[str, None] = {}
        """The calls that still ran when they were looked at."""

    async def go_on(self, begin: int) -> None:
        """Sort the calls that have ended since. `begin` is where an earlier process ended."""
        now = current_time_us()
        if await self._learn():
            self._to = self._noted = begin
            self._seen.clear()
        if now > self._again_at:
            self._to, self._again_at = min(self._to, now - _AGAIN_US), now + _AGAIN_US
            self._seen.clear()
        await self._sort_late()
        query: Query | None = Query(
            organization_id=self._organization_id,
            filter=parse_completion_filter("kind = chat and status != failed"),
            created_from=self._to,
            order="asc",
            limit=PAGE,
            bytes_max=_PAGE_BYTES,
        )
        while query is not None:
            page = await self._store.completions.list(query)
            await self._sort([each for each in page.completions if each.id not in self._seen])
            self._seen |= {each.id: each.created_at for each in page.completions}
            if not page.completions:
                return
            last = page.completions[-1]
            await self._note(min(last.created_at, now - _LAG_US))
            query = msgspec.structs.replace(query, after=last.id) if page.has_more else None

    async def _note(self, to: int) -> None:
        """Remember how far the calls have been looked at."""
        self._to = max(self._to, to)
        self._seen = {id: at for id, at in self._seen.items() if at >= self._to}
        if self._to - self._noted > _NOTED_US:
            self._noted = self._to
            await self._store.prompts.sort(
                [], organization_id=self._organization_id, sorted_to=self._to
            )

    async def _sort_late(self) -> None:
        ids = [*self._late]
        for begin in range(0, len(ids), PAGE):
            some = ids[begin : begin + PAGE]
            found = await self._store.completions.retrieve_many(
                some, organization_id=self._organization_id
            )
            for id in some:
                if id not in found or found[id].status != "started":
                    del self._late[id]
            await self._sort([each for each in found.values() if each.status == "finished"])

    async def _sort(self, found: Sequence[Completion]) -> None:
        running = [each.id for each in found if each.status == "started"]
        self._late |= dict.fromkeys(running[: _LATE_MAX - len(self._late)])
        ended = [each for each in found if each.status == "finished"]
        texts = await asyncio.to_thread(lambda: [read_system(each) for each in ended])
        calls = [
            SortedCall(completion.created_at, completion.id, place)
            for completion, text in zip(ended, texts, strict=True)
            if text.strip() and (place := await self._find(text)) is not None
        ]
        if calls:
            await self._store.prompts.sort(
                calls, organization_id=self._organization_id, sorted_to=0
            )

    async def _learn(self) -> bool:
        """Read the versions. Returns whether somebody has changed them."""
        versions = await self._store.prompts.list_versions(organization_id=self._organization_id)
        is_changed = versions != self._versions
        if is_changed:
            self._versions = versions
            self._places.clear()
        return is_changed

    async def _find(self, text: str) -> PromptPlace | None:
        """The version of a text. One that is near to a version becomes the next one."""
        digest = hash_text(text)
        if digest not in self._places:
            near = await asyncio.to_thread(find_nearest, text, self._versions or ())
            place = None
            if near is not None and near.distance <= DISTANCE_MAX:
                version = near.version if near.distance == 0 else await self._add_next(near)
                if version is not None:
                    place = PromptPlace(version.prompt_id, version.version)
            self._places[digest] = place
            if len(self._places) > _TEXTS_MAX:
                self._places.popitem(last=False)
        self._places.move_to_end(digest)
        return self._places[digest]

    async def _add_next(self, near: NearVersion) -> PromptVersion | None:
        """The next version of a prompt, of a text that is near to one."""
        added = await self._store.prompts.add_version(
            PromptVersion(
                organization_id=self._organization_id,
                prompt_id=near.version.prompt_id,
                version=0,
                template=near.template,
                decided_by="distance",
                of_version=near.version.version,
                distance=near.distance,
            )
        )
        await self._learn()
        return added
