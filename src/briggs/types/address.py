"""Where a server is, and with which key it is used."""

from __future__ import annotations

from typing import NamedTuple

DEFAULT_URL = "http://127.0.0.1:10100"


class Address(NamedTuple):
    """A server's address, and its key if one was found."""

    url: str
    api_key: str | None
