"""The processes that run models on this machine: starts them, watches them, and lends them out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import secrets
import sys
from pathlib import Path
from typing import Protocol

import msgspec

from briggs.providers.local_server import ChildOrder
from briggs.transport import TimedOut, Transport, TransportError
from briggs.types.errors import UpstreamUnreachable

logger = logging.getLogger("briggs.local")

START_TIMEOUT_S = 300
STOP_TIMEOUT_S = 5
CHECKED_EVERY_S = 5
NOTICE_TIMEOUT_S = 0.5


class ChildPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A process for one model, and its limits. Equal plans can share a process."""

    name: str
    """Of its log."""
    order: ChildOrder
    """Its key is chosen when it starts."""
    memory_bytes_max: int
    stall_timeout_s: float


class Child(Protocol):
    """A process that runs a model: our own, or one that the supervisor lends us."""

    address: str
    key: str

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked. One that has grown past its limit cannot be."""
        ...

    async def wait(self) -> None:
        """Return when it cannot be asked any more."""
        ...

    async def has_ended(self) -> bool:
        """Whether it has ended. We may learn that shortly after its connections break."""
        ...

    async def give_back(self) -> None:
        """Need it no longer. Called once."""
        ...


class Children(Protocol):
    """Where a provider gets its processes from."""

    async def start(self, plan: ChildPlan) -> Child:
        """A process for this plan. Raises `UpstreamUnreachable`."""
        ...

    async def close(self) -> None:
        """Called when every child was given back."""
        ...


class OwnChildren:
    """Starts processes of its own."""

    def __init__(self, *, data: Path) -> None:
        self._data = data
        self._transport = Transport(proxies=False)

    async def start(self, plan: ChildPlan) -> OwnChild:
        """Start a process and wait until it listens. Raises `UpstreamUnreachable`."""
        order = msgspec.structs.replace(plan.order, key=secrets.token_urlsafe(32))
        process, address = await _spawn(order, log_path=self._data / f"local-{plan.name}.log")
        return OwnChild(process, plan, address=address, key=order.key, transport=self._transport)

    async def close(self) -> None:
        await self._transport.close()


class OwnChild:
    """A process that this one has started, and watches."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        plan: ChildPlan,
        *,
        address: str,
        key: str,
        transport: Transport,
    ) -> None:
        self.process = process
        self.address = address
        self.key = key
        self._plan = plan
        self._transport = transport
        self._is_outgrown = False
        self._watching = asyncio.ensure_future(self._watch())
        self._stalling = asyncio.ensure_future(self._watch_progress())

    @property
    def is_alive(self) -> bool:
        return self.process.returncode is None and not self._is_outgrown

    async def wait(self) -> None:
        await asyncio.shield(self._watching)

    async def has_ended(self) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), NOTICE_TIMEOUT_S)
        return self.process.returncode is not None

    async def give_back(self) -> None:
        """Close its standard input, which ends it. Kill it if it does not end in time."""
        self._watching.cancel()
        self._stalling.cancel()
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()

    async def _watch(self) -> None:
        """Return when it has ended, or has grown past its limit."""
        model = self._plan.order.model
        while self.process.returncode is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), CHECKED_EVERY_S)
            size = await asyncio.to_thread(_read_memory, self.process.pid)
            if size > self._plan.memory_bytes_max:
                logger.warning("local/%s has grown to %d bytes, so it is restarted", model, size)
                self._is_outgrown = True
                return
        logger.warning("local/%s has ended. The next call restarts it", model)

    async def _watch_progress(self) -> None:
        """Kill it if it has stalled. Some grammars keep llama.cpp busy for ever, and then no other
        call gets an answer. The next call starts another child."""
        limit_s, model = self._plan.stall_timeout_s, self._plan.order.model
        headers = {"authorization": f"Bearer {self.key}"}
        while self.process.returncode is None:
            await asyncio.sleep(CHECKED_EVERY_S)
            try:
                async with asyncio.timeout(limit_s):
                    await self._transport.send("GET", f"{self.address}/metrics", headers=headers)
            except (TimeoutError, TimedOut):
                logger.warning("local/%s made no progress for %g s: restarting it", model, limit_s)
                with contextlib.suppress(ProcessLookupError):
                    self.process.kill()
            except TransportError:
                # It has ended, or is about to.
                continue


async def _spawn(order: ChildOrder, *, log_path: Path) -> tuple[asyncio.subprocess.Process, str]:
    """Start a child and wait until it listens. Raises `UpstreamUnreachable`."""
    try:
        process = await _create_process(log_path)
    except OSError as error:
        # The disk is full or read-only, or this machine has no memory or process left.
        where = f" ({error.filename})" if error.filename else ""
        raise UpstreamUnreachable(
            f"local/{order.model} could not be started: {error.strerror}{where}. "
            "Make room, or check the permissions of the data folder."
        ) from error
    assert process.stdin is not None
    assert process.stdout is not None
    # If it has ended already, uvloop raises RuntimeError. The end of its output says so too.
    with contextlib.suppress(OSError, RuntimeError):
        process.stdin.write(msgspec.json.encode(order) + b"\n")
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while line := await process.stdout.readline():
                if line.startswith(b"http://"):
                    return process, line.decode().strip()
    except TimeoutError:
        pass
    except BaseException:
        process.kill()
        raise
    if process.returncode is None:
        process.kill()
    raise UpstreamUnreachable(
        f"local/{order.model} could not be started: is {order.path} a GGUF model"
        + (", and is its chat_template Jinja? " if order.chat_template else "? ")
        + f"See llama.cpp's messages in {log_path}."
    )


async def _create_process(log_path: Path) -> asyncio.subprocess.Process:
    with log_path.open("wb") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "briggs.providers.local_server",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            # Ctrl-C in a terminal goes to the whole process group, but we stop the child ourselves.
            start_new_session=True,
        )


def _read_memory(pid: int) -> int:
    """A process's resident memory in bytes; 0 if it cannot be read."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * resource.getpagesize()
