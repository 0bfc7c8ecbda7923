"""The tests' own PostgreSQL: clusters in temporary folders, which end with the tests.

Each worker that needs one starts one cluster, and each test gets a database of its own. No system
cluster is used or needed. When the tests die, the kernel ends their servers, and the next run
removes what is left of their folders.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal

from tests.ports import find_free_port

USER: Final = "briggs"
START_TIMEOUT_S = 60
_PREFIX = "briggs-postgres-"
_PARENT = Path("/tmp")

# Texts sort as in a dictionary, as on most installed servers, so that a test fails if something
# counts on the order of bytes without asking for it.
_LOCALE = ("--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en")
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "wal_level": "replica",
    "max_wal_size": "256MB",
    "log_min_messages": "warning",
}
_UNSAFE_SETTINGS = {"fsync": "off", "full_page_writes": "off"}
"""A kill leaves such a cluster whole, but a loss of power does not."""


class Postgres:
    """One cluster: a folder, a port on the loopback, and a socket in the folder."""

    def __init__(self, folder: Path, *, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.port = find_free_port()
        self.settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)

    @classmethod
    @contextlib.contextmanager
    def run(
        cls,
        *,
        fsync: bool = False,
        settings: Mapping[str, str] | None = None,
        parent: Path = _PARENT,
    ) -> Iterator[Postgres]:
        """A new cluster in a folder of `parent`, until the block ends.

        With `fsync`, it survives a loss of power too.
        """
        unsafe = {} if fsync else _UNSAFE_SETTINGS
        with _open_folder(parent) as folder:
            _call("initdb", "--pgdata", str(folder / "data"), "--username", USER,
                  "--auth", "trust", "--no-sync", "--no-instructions", *_LOCALE)  # fmt: skip
            cluster = cls(folder, settings={**_SETTINGS, **unsafe, **(settings or {})})
            with cluster._started():
                yield cluster

    @contextlib.contextmanager
    def standby(self, *, settings: Mapping[str, str] | None = None) -> Iterator[Postgres]:
        """A copy that follows this cluster, and can be read and promoted. It has a slot."""
        with _open_folder(self.folder.parent) as folder:
            slot = f"standby_{next(self._numbers)}"
            _call("pg_basebackup", "--pgdata", str(folder / "data"), "--write-recovery-conf",
                  "--checkpoint", "fast", "--wal-method", "stream", "--no-sync",
                  "--create-slot", "--slot", slot,
                  "--dbname", f"{self.url('postgres')}?application_name={slot}")  # fmt: skip
            copy = Postgres(folder, settings={**self.settings, **(settings or {})})
            with copy._started():
                yield copy

    @property
    def pid(self) -> int:
        """Its first process, whose children are the others."""
        assert self._process is not None, "it does not run"
        return self._process.pid

    def url(self, database: str) -> str:
        """The address of a database, as `store` takes it."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def create_database(self, *, template: str = "template0") -> str:
        """Create an empty database, or a copy of another one that nobody uses. Returns its URL."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drop a database, whoever is connected to it."""
        self.execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")

    def execute(self, sql: str, *, database: str = "postgres") -> str:
        """Run SQL. Returns the rows as lines, with `|` between columns. Errors raise."""
        done = subprocess.run(
            [_find("psql"), "--no-psqlrc", "--quiet", "--tuples-only", "--no-align",
             "--set", "ON_ERROR_STOP=1", "--dbname", self.url(database), "--command", sql],
            capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"{sql}: {done.stderr.strip()}")
        return done.stdout.strip()

    # What happens to servers.

    def start(self) -> None:
        """Start it, and wait until it answers."""
        assert self._process is None, "it runs already"
        options = {
            **self.settings,
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
        }
        arguments = [f"--{name}={value}" for name, value in options.items()]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_as_nobody(), _find("postgres"), "-D", str(self.folder / "data"), *arguments],
                cwd=self.folder, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._wait_until_ready()

    def stop(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """Stop it. `smart` waits for its clients, and `immediate` is a crash."""
        if self._process is None:
            return
        signals = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
        self._process.send_signal(signals[mode])
        self._process.wait(START_TIMEOUT_S)
        self._process = None

    def kill(self) -> None:
        """Kill all of its processes with SIGKILL, as a machine that is gone."""
        assert self._process is not None, "it does not run"
        self._signal(signal.SIGKILL)
        self._process.wait(START_TIMEOUT_S)
        self._process = None

    def revive(self) -> None:
        """Start it again if it has ended by itself, such as on a full disk."""
        if self._process is not None and self._process.poll() is not None:
            self._process = None
            self.start()

    def pause(self) -> None:
        """Freeze all of its processes: connections stay open, and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._signal(signal.SIGCONT)

    def promote(self) -> None:
        """Make a standby accept writes. Returns when it does."""
        assert self.execute("SELECT pg_promote(true, 60)") == "t", self.read_log()

    def read_log(self) -> str:
        """What it has logged."""
        return (self.folder / "log").read_text(errors="replace")

    @contextlib.contextmanager
    def _started(self) -> Iterator[None]:
        try:
            self.start()
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                self.resume()
            self.stop("immediate")

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        end = time.monotonic() + START_TIMEOUT_S
        while subprocess.run(
            [_find("pg_isready"), "--quiet", "--host", "127.0.0.1", "--port", str(self.port)],
            check=False,
        ).returncode:
            failed = self._process.poll() is not None
            if failed or time.monotonic() > end:
                raise RuntimeError(f"PostgreSQL did not start:\n{self.read_log()}")
            time.sleep(0.02)

    def _signal(self, number: signal.Signals) -> None:
        """Signal the postmaster first, so that it starts nothing instead of its children."""
        if self._process is None:
            return
        pid = self._process.pid
        # Each of its children leads a process group of its own.
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, number)


@contextlib.contextmanager
def run_pooler(cluster: Postgres, *, mode: str = "transaction") -> Iterator[int]:
    """A pgbouncer in front of a cluster, for all of its databases. Gives its port."""
    port = find_free_port()
    with _open_folder(_PARENT) as folder:
        users = folder / "users.txt"
        users.write_text(f'"{USER}" ""\n')
        config = folder / "pgbouncer.ini"
        config.write_text(
            f"[databases]\n* = host=127.0.0.1 port={cluster.port}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {users}\npool_mode = {mode}\n"
            "max_client_conn = 200\ndefault_pool_size = 10\nserver_reset_query_always = 0\n"
            "ignore_startup_parameters = extra_float_digits\n"
        )
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [*_as_nobody(), _find("pgbouncer"), str(config)],
                cwd=folder, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            end = time.monotonic() + START_TIMEOUT_S
            while not _answers(port):
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"pgbouncer did not start:\n{(folder / 'log').read_text()}")
                time.sleep(0.02)
            yield port
        finally:
            process.kill()
            process.wait()


def _find(program: str) -> str:
    """Debian keeps the server's programs out of PATH. The newest version counts."""
    versions = [
        each for each in Path("/usr/lib/postgresql").glob("*/bin") if (each / program).exists()
    ]
    newest = max(versions, key=lambda each: float(each.parent.name), default=None)
    found = str(newest / program) if newest else shutil.which(program, path=_PATH)
    if found is None:
        raise FileNotFoundError(f"{program} is missing: install PostgreSQL (see the README)")
    return found


_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


def _user() -> pwd.struct_passwd | None:
    """Who the servers run as, since PostgreSQL refuses root; None if that is us."""
    if os.geteuid() != 0:
        return None
    names = {each.pw_name: each for each in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


def _as_nobody() -> list[str]:
    """What a command is run with so that it has no rights and ends when the tests do."""
    setpriv = shutil.which("setpriv", path=_PATH)
    if setpriv is None:
        return []
    command = [setpriv, "--pdeathsig", "QUIT"]
    if (user := _user()) is not None:
        command += [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return [*command, "--"]


def _call(program: str, *arguments: str) -> None:
    done = subprocess.run(
        [*_as_nobody(), _find(program), *arguments], cwd="/", capture_output=True, text=True
    )
    if done.returncode != 0:
        raise RuntimeError(f"{program} failed: {done.stderr}")


@contextlib.contextmanager
def _open_folder(parent: Path) -> Iterator[Path]:
    """A folder that the servers' user owns. It names our process, so that the next run can tell
    what a dead one has left. Its path is short, since the path of a socket has 107 bytes at most.
    """
    _remove_left()
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent))
    if (user := _user()) is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_left() -> None:
    for folder in _PARENT.glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if not Path(f"/proc/{pid}").exists():
            shutil.rmtree(folder, ignore_errors=True)


def _answers(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0
