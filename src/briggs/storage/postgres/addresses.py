"""Reads the address in `store`, which may have a password that nothing else is to show."""

from __future__ import annotations

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from briggs.types.errors import StoreUnavailable

SCHEMES = ("postgresql://", "postgres://")


def read_address(address: str, *, password: str | None) -> tuple[str, URL]:
    """The address without its password, for people, and the one to connect to.

    Raises `StoreUnavailable` if it is no address.
    """
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise StoreUnavailable(
            "`store` is not an address: write postgresql://USER@HOST:PORT/DATABASE"
        ) from None
    shown = url.set(password=None, query={})
    url = url.set(drivername="postgresql+psycopg")
    if password is not None:
        url = url.set(password=password)
    return shown.render_as_string(), url
