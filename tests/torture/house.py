"""The processes of a run: nodes of Briggs, their database, the way to it, and their folders."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final, Literal

from tests.postgres import Postgres
from tests.processes import Server, run_server
from tests.torture.calls import GRADED_TAG
from tests.torture.road import Road
from tests.torture.upstream import Vendor
from tests.workers.lines import is_alive, list_workers

StoreName = Literal["sqlite", "postgresql"]
Durability = Literal["strict", "fsync", "relaxed"]

_PREFIX: Final = "briggs-torture-"
DISK_BYTES: Final = 800 * 2**20
RECOVERED_WITHIN_S: Final = 180.0
CLOCK: Final = Path(__file__).parent / "clock"
"""The folder with the module that gives a process a clock of its own."""
_UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
_MODEL = b"briggs.providers.local_server"
_LIMITS = """
record_vectors = true
[limits]
answer_bytes_max = 1000000
connect_timeout_s = 2
upstream_timeout_s = 5
call_timeout_s = 30
shutdown_timeout_s = 20
usage_timeout_s = 1
node_timeout_s = 3
"""


class Node:
    """A Briggs on one port, which is started again and again over one folder."""

    def __init__(self, data: Path, *, config: str, clock: Path | None) -> None:
        self.data = data
        self.config = config
        self.workers = 1
        self.server: Server | None = None
        self.has_own_clock = False
        """Whether its clock is the house's, which can jump."""
        self._port = _find_free_port()
        self._clock = clock
        self._opening: contextlib.AbstractContextManager[Server] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def log(self) -> Path:
        return self.data.parent / f"{self.data.name}.log"

    def start(self) -> None:
        """Start it, and try again as long as its house is hurt."""
        end = time.monotonic() + RECOVERED_WITHIN_S
        while True:
            try:
                self._start()
                return
            except AssertionError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.3)

    def _start(self) -> None:
        environment = {}
        if self.has_own_clock and self._clock is not None:
            environment = {"PYTHONPATH": str(CLOCK), "TORTURE_CLOCK": str(self._clock)}
        opening = run_server(
            self.data,
            config=self.config,
            environment=environment,
            options=["--port", str(self._port), "--workers", str(self.workers)],
            prefix=_without_rights(),
        )
        self.server = opening.__enter__()
        self._opening = opening

    def restart(self) -> None:
        """End it if it runs, and start it."""
        if self.server is not None:
            self.stop()
        self.start()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and wait until all of its processes have ended."""
        assert self.server is not None and self._opening is not None
        processes = self.list_processes()
        status = self.server.stop(number)
        self._opening.__exit__(None, None, None)
        self.server = self._opening = None
        end = time.monotonic() + 30
        while any(map(is_alive, processes)):
            assert time.monotonic() < end, "a process outlived its server"
            time.sleep(0.02)
        return status

    def list_workers(self) -> list[int]:
        """The processes that answer."""
        assert self.server is not None
        return list_workers(self.server) or [self.server.process.pid]

    def list_processes(self) -> list[int]:
        """All of its processes."""
        assert self.server is not None
        return [self.server.process.pid, *_list_children(self.server.process.pid)]

    def list_models(self) -> list[int]:
        """The processes that run a model."""
        return [each for each in self.list_processes() if _MODEL in _read_command(each)]

    def read_rss_mb(self) -> dict[int, int]:
        """What each process holds in memory, without the models'."""
        models = self.list_models()
        found = {}
        for each in self.list_processes():
            with contextlib.suppress(OSError):
                pages = int(Path(f"/proc/{each}/statm").read_text().split()[1])
                if each not in models:
                    found[each] = pages * os.sysconf("SC_PAGE_SIZE") // 2**20
        return found

    def read_health(self) -> dict[str, Any]:
        """What `/health` says; nothing if nobody answers."""
        assert self.server is not None
        with contextlib.suppress(OSError, ValueError):
            return dict(self.server.send("GET", "/health", key=None).json)
        return {}

    def limit_files(self, size: int | None) -> None:
        """Make writes past this size of a file fail, in all of its processes."""
        for each in self.list_processes():
            limits = _UNLIMITED if size is None else (size, resource.RLIM_INFINITY)
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(each, resource.RLIMIT_FSIZE, limits)


class Disk:
    """A folder that can be full: a small disk in memory. Only root can mount one."""

    def __init__(self, folder: Path, *, is_mounted: bool) -> None:
        self.folder = folder
        self.is_mounted = is_mounted

    @classmethod
    @contextlib.contextmanager
    def mount(cls, folder: Path, *, mode: str, is_small: bool) -> Iterator[Disk]:
        """A folder. If it `is_small`, it is a disk of its own, if that can be mounted."""
        folder.mkdir(parents=True, mode=int(mode, 8))
        if not is_small:
            yield cls(folder, is_mounted=False)
            return
        options = ["-t", "tmpfs", "-o", f"size={DISK_BYTES},mode={mode}", "tmpfs", str(folder)]
        done = subprocess.run(["/bin/mount", *options], capture_output=True, check=False)
        try:
            yield cls(folder, is_mounted=done.returncode == 0)
        finally:
            if done.returncode == 0:
                subprocess.run(["/bin/umount", "-l", str(folder)], check=False)

    def fill(self) -> None:
        """Leave no byte."""
        with self._ballast.open("ab") as file:
            for size in (2**25, 2**16, 2**12):
                with contextlib.suppress(OSError):
                    while True:
                        os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, size)

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"


class House:
    """Everything that can be hurt."""

    def __init__(self, folder: Path, *, store: StoreName, vendor: Vendor) -> None:
        self.folder = folder
        self.store: StoreName = store
        self.vendor = vendor
        self.nodes: list[Node] = []
        self.disks: list[Disk] = []
        """Those of the nodes' folders."""
        self.healed_at = 0.0
        """When the last fault ended."""
        self.moments: list[float] = []
        """When something happened by which what is only queued is lost."""
        self.clusters = contextlib.ExitStack()
        self.cluster: Postgres | None = None
        """The one that takes writes."""
        self.cluster_disk: Disk | None = None
        self.roads: list[Road] = []
        """The way of each node to the database."""
        self.database = ""
        # The user of PostgreSQL goes through it to its own folder.
        folder.chmod(0o755)
        self.clock.touch()
        self.set_clock(0)

    @property
    def node(self) -> Node:
        return self.nodes[0]

    @property
    def address(self) -> str | None:
        """Where the record can be read, past the road."""
        return self.cluster.url(self.database) if self.cluster is not None else None

    @property
    def clock(self) -> Path:
        """What the clocks of nodes go by that have one of their own."""
        return self.folder / "clock"

    def share_key(self, node: Node) -> None:
        """Give a node the first key, which is in the folder of the node that has made it."""
        name = "admin.key"
        if node is not self.node and not (node.data / name).exists():
            shutil.copy(self.node.data / name, node.data / name)

    def heal(self) -> None:
        """Note that a fault has ended."""
        self.healed_at = time.monotonic()

    def lose(self) -> None:
        """Note that what is only queued may be lost by what follows."""
        self.moments.append(time.monotonic())

    def set_clock(self, offset_s: int) -> None:
        """Set how far their clocks are ahead. It is written in place, because they map the file."""
        with self.clock.open("r+b") as file:
            file.write(offset_s.to_bytes(8, "little", signed=True))


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A folder for a run. It names our process, so that the next run can remove what a dead one
    has left.
    """
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        process_id = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if process_id.isdigit() and not Path(f"/proc/{process_id}").exists():
            for each in filter(Path.is_mount, folder.iterdir()):
                subprocess.run(["/bin/umount", "-l", str(each)], check=False)
            shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-") as name:
        yield Path(name)


@contextlib.asynccontextmanager
async def open_house(
    folder: Path,
    *,
    store: StoreName,
    seed: int,
    nodes: int = 1,
    durability: Durability = "strict",
    is_small: bool = True,
) -> AsyncIterator[House]:
    """What nodes need. Nodes share a PostgreSQL, and each has a folder. They are not started.

    If it `is_small`, its folders are on small disks, if they can be mounted.
    """
    house = House(folder, store=store, vendor=Vendor(seed))
    async with contextlib.AsyncExitStack() as stack:
        port = await stack.enter_async_context(house.vendor.listen())
        if store == "postgresql":
            await _open_database(house, stack, is_small=is_small)
        for number in range(nodes):
            data = folder / f"node-{number + 1}"
            house.disks.append(stack.enter_context(Disk.mount(data, mode="700", is_small=is_small)))
            address = await _open_road(house, stack)
            config = write_config(port, address, durability=durability)
            house.nodes.append(Node(data, config=config, clock=house.clock))
        try:
            yield house
        finally:
            for each in house.nodes:
                if each.server is not None:
                    await asyncio.to_thread(each.stop)


async def _open_database(house: House, stack: contextlib.AsyncExitStack, *, is_small: bool) -> None:
    """A cluster on a disk of its own."""
    disk = stack.enter_context(Disk.mount(house.folder / "postgres", mode="755", is_small=is_small))
    stack.enter_context(house.clusters)
    running = Postgres.run(parent=disk.folder)
    cluster = await asyncio.to_thread(house.clusters.enter_context, running)
    house.cluster, house.cluster_disk = cluster, disk
    url = await asyncio.to_thread(cluster.create_database)
    house.database = url.rpartition("/")[2]


async def _open_road(house: House, stack: contextlib.AsyncExitStack) -> str:
    """A way to the database. Returns the `store` of the node that takes it."""
    if house.cluster is None:
        return "sqlite"
    road = await stack.enter_async_context(Road(house.cluster.port).open())
    house.roads.append(road)
    return house.cluster.url(house.database).replace(f":{house.cluster.port}/", f":{road.port}/")


def write_config(port: int, address: str, *, durability: Durability) -> str:
    """briggs.toml."""
    providers = "".join(
        f'[providers.{name}]\nbase_url = "http://127.0.0.1:{port}/{name}/v1"\n'
        for name in ("ok", "embeds")
    )
    head = f'store = "{address}"\ndurability = "{durability}"\n'
    return head + _LIMITS + providers


def create_task(server: Server) -> str:
    """A task whose queue gets every call for grades. Returns its id."""
    schema = {"type": "object", "properties": {"good": {"type": "boolean"}}}
    task = {"name": "torture", "json_schema": schema, "completion_tags_selector": [GRADED_TAG]}
    reply = server.send("POST", "/api/v1/feedback_task", task)
    assert reply.status == 200, reply.body
    return str(reply.json["id"])


def try_to_start(node: Node) -> subprocess.CompletedProcess[str]:
    """Start a server that is expected to refuse to."""
    command = [sys.executable, "-m", "briggs", "serve", "--port", "0", "--data", str(node.data)]
    config = node.data.parent / f"{node.data.name}.toml"
    return subprocess.run(
        [*_without_rights(), *command, "--config", str(config)],
        cwd=node.data.parent, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def draw_worker(node: Node, draw: random.Random) -> int:
    return draw.choice(node.list_workers())


def _without_rights() -> list[str]:
    """What a server is run with so that it ends when the run does, and so that modes of files bind
    it, also if root runs it.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return []
    rights = ["--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    return [setpriv, "--pdeathsig=KILL", *rights, "--"]


def _list_children(process_id: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{process_id}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *_list_children(child)]
    return found


def _read_command(process_id: int) -> bytes:
    try:
        return Path(f"/proc/{process_id}/cmdline").read_bytes()
    except OSError:
        return b""


def _find_free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
