"""Which server to talk to, and with which key."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from briggs.client.errors import InvalidCall

DEFAULT_URL = "http://127.0.0.1:10100"


class Server(NamedTuple):
    """An address and the key to it, if one was found."""

    url: str
    api_key: str | None


def find_server(
    *, url: str | None = None, api_key: str | None = None, data: Path | None = None
) -> Server:
    """What was given, else what the data folder says, else the default.

    The folder's key opens the server that uses the folder, so that it goes to that server or
    to this machine, and never to another one that `url` may name. Raises `InvalidCall`.
    """
    from briggs.client.connection import is_loopback

    folder = data or data_folder()
    running = _read_line(folder / "server.url")
    address = (url or running or DEFAULT_URL).rstrip("/").removesuffix("/v1")
    is_ours = is_loopback(address) or address == running
    if api_key is None and is_ours:
        api_key = _read_line(folder / "admin.key")
    return Server(url=address, api_key=api_key)


def choose_server(base_url: str | None, api_key: str | None) -> Server:
    """What was given to a client, else `BRIGGS_URL` and `BRIGGS_API_KEY`, else this machine's.

    With an address that was given goes only a key that was given, or the environment's.
    """
    key = api_key or os.environ.get("BRIGGS_API_KEY") or None
    if base_url is not None:
        return Server(url=base_url, api_key=key)
    return find_server(url=os.environ.get("BRIGGS_URL"), api_key=key)


def data_folder() -> Path:
    """Where a server of this user keeps its data, and programs what they could not send yet."""
    # The settings of a server take longer to import than all of the client.
    if given := os.environ.get("BRIGGS_DATA"):
        return Path(given)
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "briggs"


def _read_line(path: Path) -> str | None:
    try:
        return path.read_text("utf-8").strip() or None
    except OSError:
        return None


__all__ = ["DEFAULT_URL", "InvalidCall", "Server", "choose_server", "data_folder", "find_server"]
