"""The tool calls of one streamed choice: finds the call that a delta belongs to."""

from __future__ import annotations

from typing import Any

import msgspec

from briggs.conform.drafts import Draft
from briggs.conform.message import create_call_id, restore_text, restore_type
from briggs.conform.strict import NotConforming
from briggs.rules.specification import is_call_id
from briggs.types.envelope import CALLS_MAX

# The total bytes of arguments that are decoded, to see whether a call is complete.
_READ_BYTES_MAX = 16 * 1024 * 1024


class _Call(msgspec.Struct):
    id: str
    name: str
    arguments: list[str] = []
    may_be_whole: bool = False
    """Whether the arguments end with `}`."""

    def add(self, text: str) -> None:
        if end := text.rstrip():
            self.may_be_whole = end.endswith("}")
        if text:
            self.arguments.append(text)


class Calls:
    """S10: calls are numbered from 0. Id, type and name come once, then only arguments."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._positions: dict[int, int] = {}
        """Maps the upstream's index of a call to ours."""
        self._ids: dict[str, int] = {}
        self._bytes_read = 0

    def __len__(self) -> int:
        return len(self._calls)

    def restore(self, call: Draft) -> None:
        """Mend one delta of one call, in place. Raises `NotConforming`."""
        function = call.object("function") or call.object("custom")
        position = self._find(call, function)
        if position is None:
            position = self._begin(call, function)
        else:
            call.set("index", position, rule="S10", absent="S10")
            for name in ("id", "type"):
                call.remove(name, rule="S10")
            if function is not None:
                function.remove("name", rule="S10")
        if function is not None:
            for name in ("arguments", "input"):
                if name in function.members:
                    restore_text(function, name, absent="S10")
                    self._calls[position].add(str(function.get(name)))

    def _find(self, call: Draft, function: Draft | None) -> int | None:
        """The position of the call that a delta belongs to. None for a new call.

        A new id with a name begins a call, whatever its index, because some upstreams number
        every call 0. Without an id, the index decides. Without both, it is the last call.
        """
        id, index = call.get("id"), call.get("index")
        name = function.get("name") if function is not None else None
        if isinstance(id, str) and id in self._ids:
            return self._ids[id]
        if is_call_id(id) and name:
            return None
        position = self._positions.get(index) if type(index) is int else len(self._calls) - 1
        if position is None or position < 0:
            return None
        return None if name and self._is_over(self._calls[position], name) else position

    def _is_over(self, call: _Call, name: Any) -> bool:
        """Whether a name without an id begins a new call."""
        if name != call.name:
            return True
        if not call.may_be_whole or self._bytes_read > _READ_BYTES_MAX:
            return False
        arguments = "".join(call.arguments)
        call.arguments = [arguments]
        self._bytes_read += len(arguments)
        try:
            return isinstance(msgspec.json.decode(arguments), dict)
        except (msgspec.DecodeError, UnicodeError):
            return False

    def _begin(self, call: Draft, function: Draft | None) -> int:
        name = function.get("name") if function is not None else None
        if not (name and isinstance(name, str)):
            raise NotConforming("a tool call begins without the name of its function")
        assert function is not None, "only an existing function has a name"
        if len(self._calls) >= CALLS_MAX:
            raise NotConforming(f"a choice has more than {CALLS_MAX} tool calls")
        position, index = len(self._calls), call.get("index")
        if type(index) is int:
            self._positions[index] = position
        call.set("index", position, rule="S10", absent="S10")
        if not is_call_id(call.get("id")):
            call.set("id", create_call_id(call.get("id")), rule="M6", absent="S10")
        restore_type(call, rule="S10")
        self._calls.append(_Call(call.get("id"), name))
        self._ids.setdefault(call.get("id"), position)
        return position
