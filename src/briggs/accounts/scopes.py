"""Scopes: what a key may do, and which scopes a new key gets."""

from __future__ import annotations

from typing import Any

from briggs.types.errors import Forbidden, InvalidRequest
from briggs.types.keys import SCOPES, SCOPES_DEFAULT, Key, Scope


def require(key: Key, *scopes: Scope) -> None:
    """Raises `Forbidden` if the key has none of these scopes."""
    for scope in scopes:
        if scope in key.scopes:
            return
    wanted = " or ".join(f"'{scope}'" for scope in scopes)
    raise Forbidden(
        f"The key '{key.name}' may not do this: it needs the scope {wanted}, and its scopes "
        f"are {', '.join(key.scopes) or 'none'}."
    )


def read_scopes(value: Any) -> list[Scope]:
    """Read the scopes of a new key. The default is all but `admin`. Raises `InvalidRequest`."""
    if value is None:
        return list(SCOPES_DEFAULT)
    if not isinstance(value, list) or not value or not all(scope in SCOPES for scope in value):
        raise InvalidRequest(
            f"'scopes' must be a list with any of {', '.join(SCOPES)}.", param="scopes"
        )
    return [scope for scope in SCOPES if scope in value]
