"""What scopes allow, and which scopes a new key gets."""

from __future__ import annotations

from typing import Any

import pytest

from briggs.accounts.keys import Keys
from briggs.accounts.scopes import read_scopes, require
from briggs.types.errors import Forbidden, InvalidRequest
from briggs.types.organizations import DEFAULT


async def test_one_of_the_scopes_is_enough(keys: Keys) -> None:
    """A key needs one of the scopes. The error names them, and those that the key has."""
    key, _ = await keys.create("grader", organization_id=DEFAULT, scopes=["grade"])
    require(key, "read", "grade")
    with pytest.raises(Forbidden, match="the scope 'read' or 'admin', and its scopes are grade"):
        require(key, "read", "admin")


def test_the_scopes_of_a_new_key() -> None:
    """The default is all but `admin`. The order of the scopes is always the same."""
    assert read_scopes(None) == ["answer", "read", "grade"]
    assert read_scopes(["admin", "read", "read"]) == ["read", "admin"]


@pytest.mark.parametrize("value", [[], "read", ["write"], ["read", 1], [[]], {"read": True}])
def test_bad_scopes(value: Any) -> None:
    """Anything but a list of known scopes is refused."""
    with pytest.raises(InvalidRequest):
        read_scopes(value)
