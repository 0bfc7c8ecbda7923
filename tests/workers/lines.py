"""Connections to a worker of choice. The kernel chooses one for each connection."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.processes import Reply, Server
from tests.waiting import PATIENCE_S

TRIES_MAX = 200


def list_workers(server: Server) -> list[int]:
    """The ids of the workers' processes."""
    supervisor = server.process.pid
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return [int(each) for each in children if b"briggs.workers.worker" in read_command(each)]


def read_command(process_id: str) -> bytes:
    try:
        return Path(f"/proc/{process_id}/cmdline").read_bytes()
    except OSError:
        return b""


def is_alive(process_id: int) -> bool:
    """Whether a process runs. One that has ended and waits for its parent does not."""
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


class Caller:
    """A connection that stays open, and so stays with its worker."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        try:
            self.send("GET", "/health")
            self.worker = self._find_worker()
        except BaseException:
            self.close()
            raise

    def send(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, key: str = ""
    ) -> Reply:
        """One request and its whole answer."""
        headers = {"authorization": f"Bearer {key or self._server.key}"}
        content = json.dumps(body).encode() if body is not None else None
        self._connection.request(method, path, body=content, headers=headers)
        with self._connection.getresponse() as response:
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, headers, response.read())

    def chat(self, said: str, *, model: str = "ok/m", key: str = "", **more: Any) -> Reply:
        """A chat completion."""
        body = {"model": model, "messages": [{"role": "user", "content": said}], **more}
        return self.send("POST", "/v1/chat/completions", body, key=key)

    def close(self) -> None:
        self._connection.close()

    def _find_worker(self) -> int:
        """The process that has the other end of the connection."""
        ours = self._connection.sock.getsockname()[1]
        ends = f":{self._server.port:04X}", f":{ours:04X}"
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        [inode] = [row[9] for row in rows if row[1].endswith(ends[0]) and row[2].endswith(ends[1])]
        [worker] = [each for each in list_workers(self._server) if has_socket(each, inode)]
        return worker


def has_socket(process_id: int, inode: str) -> bool:
    with contextlib.suppress(OSError):
        for link in Path(f"/proc/{process_id}/fd").iterdir():
            with contextlib.suppress(OSError):
                if str(link.readlink()) == f"socket:[{inode}]":
                    return True
    return False


@contextlib.contextmanager
def reach_all(server: Server) -> Iterator[list[Caller]]:
    """A caller for each worker, in the order of their processes."""
    found: dict[int, Caller] = {}
    workers = list_workers(server)
    with contextlib.ExitStack() as stack:
        for _ in range(TRIES_MAX):
            caller = Caller(server)
            stack.callback(caller.close)
            found.setdefault(caller.worker, caller)
            if len(found) == len(workers):
                break
        yield [found[each] for each in sorted(found)]
