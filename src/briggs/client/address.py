"""Chooses the server to use, and the key for it."""

from __future__ import annotations

import os
from pathlib import Path

from briggs.client.errors import InvalidCall
from briggs.types.address import DEFAULT_URL, Address


def find_server(
    *, url: str | None = None, api_key: str | None = None, data: Path | None = None
) -> Address:
    """The given address and key, or those in the data folder, or the default address.

    The key in the data folder belongs to the server that uses the folder. So it is sent only to
    that server or to this machine, and never to another `url`. Raises `InvalidCall`.
    """
    from briggs.client.connection import is_loopback

    folder = data or data_folder()
    running = _read_line(folder / "server.url")
    address = (url or running or DEFAULT_URL).rstrip("/").removesuffix("/v1")
    is_ours = is_loopback(address) or address == running
    if api_key is None and is_ours:
        api_key = _read_line(folder / "admin.key")
    return Address(url=address, api_key=api_key)


def choose_server(base_url: str | None, api_key: str | None) -> Address:
    """The client's arguments, or `BRIGGS_URL` and `BRIGGS_API_KEY`, or this machine's server.

    If `base_url` is given, the key comes only from `api_key` or `BRIGGS_API_KEY`.
    """
    key = api_key or os.environ.get("BRIGGS_API_KEY") or None
    if base_url is not None:
        return Address(url=base_url, api_key=key)
    return find_server(url=os.environ.get("BRIGGS_URL"), api_key=key)


def data_folder() -> Path:
    """Where this user's server keeps its data, and programs keep records not yet sent."""
    # This repeats the server's settings, which take longer to import than the whole client.
    if given := os.environ.get("BRIGGS_DATA"):
        return Path(given)
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "briggs"


def _read_line(path: Path) -> str | None:
    try:
        return path.read_text("utf-8").strip() or None
    except OSError:
        return None


__all__ = ["DEFAULT_URL", "Address", "InvalidCall", "choose_server", "data_folder", "find_server"]
