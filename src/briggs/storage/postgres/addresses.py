"""Reads the address in `store`, which may have a password that nothing else is to show."""

from __future__ import annotations

import re

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from briggs.types.errors import StoreUnavailable

HOSTS_MAX = 16

_SEVERAL = re.compile(r"(?P<begin>[a-z]+://(?:[^/?#]*@)?)(?P<hosts>[^/?#@]*,[^/?#@]*)(?P<end>.*)")
"""libpq's form of an address, with several servers of which one takes writes."""


def read_address(address: str, *, password: str | None) -> tuple[str, URL]:
    """The address without its password, for people, and the one to connect to.

    Of several servers, `host:port,host:port`, the one that takes writes is used, unless the address
    says otherwise. Raises `StoreUnavailable` if it is no address.
    """
    try:
        url, hosts = _read_hosts(address)
    except (ArgumentError, ValueError):
        raise StoreUnavailable(
            "`store` is not an address: write postgresql://USER@HOST:PORT/DATABASE"
        ) from None
    shown = url.set(password=None, query={}).render_as_string()
    if hosts:
        begin = url.set(password=None, query={}, database=None).render_as_string()
        shown = f"{begin}{hosts}/{url.database or ''}"
    url = url.set(drivername="postgresql+psycopg")
    if password is not None:
        url = url.set(password=password)
    return shown, url


def _read_hosts(address: str) -> tuple[URL, str]:
    """The URL, and the servers if there are several. Raises `ArgumentError` and `ValueError`."""
    if (found := _SEVERAL.fullmatch(address)) is None:
        return make_url(address), ""
    hosts = found["hosts"].split(",")
    if len(hosts) > HOSTS_MAX:
        raise ValueError("too many servers")
    each = [make_url(f"postgresql://{host}/") for host in hosts]
    query = {
        "host": ",".join(one.host or "" for one in each),
        "port": ",".join(str(one.port or 5432) for one in each),
    }
    url = make_url(found["begin"] + found["end"])
    asked = {"target_session_attrs": "read-write", **url.query}
    return url.set(query={**asked, **query}), found["hosts"]
