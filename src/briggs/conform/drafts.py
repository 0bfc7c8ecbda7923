"""An answer that is being mended. Each change notes the broken rule and the place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from briggs.types.completions import Fix

_ABSENT = object()
# A bad answer may need very many fixes. The first ones are enough.
_NOTED_MAX = 1000


class Fixes:
    """The fixes in one answer. A fix that a stream repeats is noted once."""

    def __init__(self) -> None:
        self.made = 0
        """The number of changes so far, including repeated ones."""
        self._noted: dict[Fix, None] = {}

    def note(self, rule: str, path: str) -> None:
        self.made += 1
        if len(self._noted) < _NOTED_MAX:
            self._noted[Fix(rule, path)] = None

    @property
    def noted(self) -> list[Fix]:
        return list(self._noted)


class Draft:
    """One object of an answer, and its path, such as `choices[0].message`."""

    __slots__ = ("_fixes", "_path", "members")

    def __init__(self, members: dict[str, Any], fixes: Fixes, path: str = "") -> None:
        self.members = members
        self._fixes = fixes
        self._path = path

    def get(self, name: str) -> Any:
        return self.members.get(name)

    def note(self, rule: str, name: str) -> None:
        """Note that the member with this name was mended."""
        self._fixes.note(rule, f"{self._path}.{name}" if self._path else name)

    def set(self, name: str, value: Any, *, rule: str, absent: str = "E5") -> None:
        """Set a member to its right value. If it was absent, the broken rule is `absent`."""
        given = self.members.get(name, _ABSENT)
        if type(given) is type(value) and given == value:
            return
        self.members[name] = value
        self.note(absent if given is _ABSENT else rule, name)

    def require(self, name: str, *, value: Any = None, rule: str = "E5") -> None:
        """Add a required member that is absent."""
        if name not in self.members:
            self.set(name, value, rule=rule, absent=rule)

    def remove(self, name: str, *, rule: str) -> None:
        """Remove a member, if it exists."""
        if name in self.members:
            del self.members[name]
            self.note(rule, name)

    def object(self, name: str) -> Draft | None:
        """The member with this name, if it is an object."""
        value = self.members.get(name)
        if not isinstance(value, dict):
            return None
        return Draft(value, self._fixes, f"{self._path}.{name}" if self._path else name)

    def objects(self, name: str, *, place: str | None = None) -> Iterator[Draft]:
        """The objects of a list. Their paths have `place`, or by default their numbers."""
        items = self.members.get(name)
        path = f"{self._path}.{name}" if self._path else name
        for number, item in enumerate(items if isinstance(items, list) else ()):
            if isinstance(item, dict):
                yield Draft(item, self._fixes, f"{path}[{number if place is None else place}]")
