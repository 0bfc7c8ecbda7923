"""Callers on every face, who call all the time and keep what they got."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from briggs.transport import Transport, TransportError
from tests.torture.calls import GRADE, GRADED_TAG, KINDS, Call, Draws

ANSWERED_WITHIN_S = 60.0
"""An answer that takes longer is a hang."""
RETRY_S = 0.1
PAUSE_S = 0.02
"""Between two calls of a caller, at most."""
LEAVES = 0.05
"""The share of the callers who hang up."""


class Fleet:
    """So many callers. Each asks one of the nodes at a time."""

    def __init__(
        self, seed: int, *, callers: int, draws: Draws | None = None, pause_s: float = PAUSE_S
    ) -> None:
        self.urls: Sequence[str] = ()
        self.key = ""
        self.task_id = ""
        self.local = False
        """Whether a local model is asked too."""
        self.calls: dict[int, Call] = {}
        """By number. Those that were checked are taken away."""
        self.hangs: list[Call] = []
        self.answered_at: deque[tuple[float, float]] = deque(maxlen=100_000)
        """When each call that was answered began, and how long it took, in seconds."""
        self.made = 0
        """How many calls there were."""
        self._seed = seed
        self._draws = draws or Draws(seed)
        self._callers = callers
        self._pause_s = pause_s
        self._numbers = itertools.count(1)
        self._gradable: deque[str] = deque(maxlen=200)
        self._transport = Transport(connect_timeout_s=5, read_timeout_s=ANSWERED_WITHIN_S)
        self._tasks: list[asyncio.Task[None]] = []
        self._is_stopped = False
        self._until: int | None = None

    def start(self, *, until: int | None = None) -> None:
        """Call until `stop`, or until so many calls were made in all."""
        self._is_stopped = False
        self._until = until
        self._tasks = [asyncio.create_task(self._call_on()) for _ in range(self._callers)]

    async def stop(self) -> None:
        """Let each caller end its call."""
        self._is_stopped = True
        await self.wait()

    async def wait(self) -> None:
        """Wait until each caller has ended its last call."""
        await asyncio.gather(*self._tasks)

    async def close(self) -> None:
        await self._transport.close()

    def take(self) -> Mapping[int, Call]:
        """The calls since the last time, once nobody calls."""
        taken, self.calls = self.calls, {}
        return taken

    async def _call_on(self) -> None:
        while not self._is_stopped and (self._until is None or self.made < self._until):
            number = next(self._numbers)
            self.made += 1
            draw = random.Random(f"{self._seed}/caller/{number}")
            await self._call(number, draw)
            await asyncio.sleep(draw.uniform(0, self._pause_s))

    async def _call(self, number: int, draw: random.Random) -> None:
        kind, request = self._draws.draw(number, local=self.local)
        if kind == GRADE:
            if not self._gradable:
                return
            request |= self._write_grade(draw)
        headers = {
            "authorization": f"Bearer {self.key}",
            "content-type": "application/json",
            # On a kept connection, the client itself would send a call once more if that broke.
            "connection": "close",
        }
        if kind == "chat with a history":
            headers["x-briggs-session"] = f"agent-{number % 7}"
        call = Call(number, kind, json.dumps(request).encode(), headers)
        self.calls[number] = call
        call.began_at = time.monotonic()
        if not KINDS[kind].is_repeated and draw.random() < LEAVES:
            await self._leave(call, draw)
        else:
            await self._ask(call, draw)
        call.took_s = time.monotonic() - call.began_at
        if call.fate == "answered":
            self._note(call, request)

    async def _ask(self, call: Call, draw: random.Random) -> None:
        """Send it, again and again if it is repeated."""
        while True:
            call.tries += 1
            await self._send(call, draw.choice(self.urls))
            is_over = call.fate == "answered" or not KINDS[call.kind].is_repeated
            if is_over or self._is_stopped:
                break
            await asyncio.sleep(RETRY_S)
        if call.fate == "cut":
            await asyncio.sleep(RETRY_S)

    async def _send(self, call: Call, url: str) -> None:
        kind = KINDS[call.kind]
        call.fate = "cut"
        try:
            async with asyncio.timeout(ANSWERED_WITHIN_S):
                reply = await self._transport.send(
                    "POST", url + kind.path, headers=call.headers, body=call.request
                )
        except TransportError:
            return
        except TimeoutError:
            self.hangs.append(call)
            return
        call.status, call.answer = reply.status, reply.body
        call.id = reply.headers.get("x-briggs-completion-id")
        call.fate = "answered" if call.is_whole else "refused"

    async def _leave(self, call: Call, draw: random.Random) -> None:
        """Hang up after a moment."""
        call.fate = "left"
        sending = asyncio.create_task(self._send(call, draw.choice(self.urls)))
        done, _ = await asyncio.wait([sending], timeout=draw.uniform(0, 0.03))
        if not done:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            call.fate = "left"

    def _write_grade(self, draw: random.Random) -> dict[str, Any]:
        return {
            "task_id": self.task_id,
            "json_values": {"good": draw.random() < 0.5},
            "completion_ids": [draw.choice(self._gradable)],
            "reviewer": f"reviewer-{draw.randrange(10**9)}",
            "idempotency_key": f"key-{self._seed}-{draw.getrandbits(64)}",
            "allow_unmatched_feedback": False,
        }

    def _note(self, call: Call, request: Mapping[str, Any]) -> None:
        self.answered_at.append((call.began_at, call.took_s))
        if GRADED_TAG in str(request.get("metadata")) and call.id is not None:
            self._gradable.append(call.id)
