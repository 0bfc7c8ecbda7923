"""Logs calls that do not go through the server: `briggs.log`, `flush` and `configure`."""

from __future__ import annotations

import atexit
import hashlib
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from briggs.client.address import Address, choose_server, data_folder
from briggs.client.marks import SessionBlock, current_session, current_tags, join_tags
from briggs.client.records import CallRecord, encode_body
from briggs.client.sender import Sender
from briggs.client.spool import Spool, SpoolFull
from briggs.types.completions import current_time_us

EXIT_TIMEOUT_S = 5.0
"""How long an ending program waits for a slow server. `BRIGGS_EXIT_TIMEOUT_S` overrides it."""
WARNING_PAUSE_S = 60.0

logger = logging.getLogger("briggs")


class Log:
    """Writes records to disk, and sends them to the server in the background.

    Raises `InvalidCall` for an invalid address.
    """

    def __init__(self, base_url: str | None = None, api_key: str | None = None) -> None:
        self._base_url = base_url
        self._api_key = api_key
        self.spool = Spool(find_spool(base_url, api_key))
        self.url = self.find_server().url
        """The server's address when the program began."""
        self.sender = Sender(self.spool, self.find_server)
        self._warned_at = -WARNING_PAUSE_S

    def find_server(self) -> Address:
        """The server to send records to. A local server may have changed its port meanwhile."""
        return choose_server(self._base_url, self._api_key)

    def put(self, record: CallRecord, *, session: SessionBlock | None) -> None:
        """Write a record to disk. If that fails, log a warning and let the program continue.

        A record of a call's start does not wake the sender, because most calls end soon.
        """
        try:
            self.spool.put(record)
        except (OSError, SpoolFull) as error:
            if time.monotonic() - self._warned_at > WARNING_PAUSE_S:
                self._warned_at = time.monotonic()
                logger.warning("A call is not recorded: %s", error)
            return
        if record.status == "started":
            return
        self.sender.wake()
        if session is not None:
            session.note(record.id, server_url=self.url)


def log(
    request: Any,
    response: Any = None,
    *,
    id: str | None = None,
    tags: Sequence[str] = (),
    duration_ms: float | None = None,
    error: BaseException | str | None = None,
) -> str:
    """Record a call that was answered elsewhere, and return its id.

    `request` and `response` may be JSON as a dict, a string or bytes, or objects of the OpenAI,
    Anthropic or Briggs packages. With an `error`, the call is recorded as failed. The call is
    taken to have ended now. This does not wait for the server.
    """
    record = CallRecord(
        created_at=current_time_us() - round((duration_ms or 0) * 1000),
        request=encode_body(request),
        received=b"" if response is None else encode_body(response),
        duration_ms=duration_ms,
        tags=list(join_tags(current_tags(), tags)),
    )
    record.id = id or record.id
    session = current_session()
    if session is not None:
        record.session_id = session.id
    if error is not None:
        record.status = "failed"
        record.failure_kind = type(error).__name__ if isinstance(error, BaseException) else "error"
        record.failure_reason = str(error)
    current_log().put(record, session=session)
    return record.id


def flush(timeout_s: float = 30.0) -> int:
    """Wait until the server has all logged records. Returns how many are still waiting."""
    return current_log().sender.flush(timeout_s)


def configure(base_url: str | None = None, api_key: str | None = None) -> None:
    """Log to this server from now on, instead of the one that the environment names."""
    global _log
    _log = Log(base_url, api_key)


def current_log() -> Log:
    """The log of this process."""
    global _log
    if _log is None:
        _log = Log()
    return _log


def find_spool(
    base_url: str | None = None, api_key: str | None = None, *, data: Path | None = None
) -> Path:
    """The spool folder of one server and key. So no record goes to another organization."""
    url = base_url or os.environ.get("BRIGGS_URL") or str((data or data_folder()).absolute())
    key = api_key or os.environ.get("BRIGGS_API_KEY") or ""
    name = hashlib.sha256(f"{url.rstrip('/').removesuffix('/v1')}\n{key}".encode()).hexdigest()
    return spool_root(data) / name[:16]


def spool_root(data: Path | None = None) -> Path:
    """The folder of all of this user's spools: `BRIGGS_SPOOL`, or `spool` in the data folder."""
    given = os.environ.get("BRIGGS_SPOOL")
    return Path(given) if given else (data or data_folder()) / "spool"


_log: Log | None = None


@atexit.register
def _flush_at_exit() -> None:
    """Send what is left. Records that do not arrive in time stay on disk."""
    if _log is None:
        return
    try:
        timeout_s = float(os.environ.get("BRIGGS_EXIT_TIMEOUT_S", EXIT_TIMEOUT_S))
    except ValueError:
        timeout_s = EXIT_TIMEOUT_S
    _log.sender.flush(timeout_s)
