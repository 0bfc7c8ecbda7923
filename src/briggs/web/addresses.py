"""Addresses of pages: the state of a page is in its URL, and a link changes a part of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from urllib.parse import quote, urlencode


class Address:
    """The address of a page. `address(tab="raw")` is the same page with another tab."""

    def __init__(self, path: str, state: Mapping[str, str]) -> None:
        self._path = path
        self._state = {name: value for name, value in state.items() if value}

    def __call__(self, fragment: str = "", **changes: object) -> str:
        """The address with these changes. None or an empty text leaves a parameter out."""
        state = self._state | {
            name: "" if value is None else str(value) for name, value in changes.items()
        }
        query = join_query({name: value for name, value in state.items() if value})
        return self._path + (f"?{query}" if query else "") + (f"#{fragment}" if fragment else "")


def join_path(*parts: object) -> str:
    """A path of these parts. A part may contain anything, such as the id of a session."""
    return "".join(f"/{quote_part(part)}" for part in parts)


def join_query(state: Mapping[str, str] | Sequence[tuple[str, str]]) -> str:
    """The parameters of an address. A lone surrogate, which a model can write, becomes a `?`."""
    return urlencode(state, errors="replace")


def quote_part(value: object, *, safe: str = "") -> str:
    """A part of an address. A lone surrogate becomes a `?`."""
    return quote(str(value), safe=safe, errors="replace")


def read_option(state: Mapping[str, str], name: str, options: Collection[str]) -> str:
    """One of the options, the first if the URL names none of them."""
    given = state.get(name, "")
    return given if given in options else next(iter(options))


def read_place(state: Mapping[str, str], name: str, *, maximum: int = 10**9) -> int:
    """A number from 0 in the URL; 0 for anything else."""
    given = state.get(name, "")
    is_number = given.isascii() and given.isdecimal() and len(given) < 11
    return min(int(given), maximum) if is_number else 0
