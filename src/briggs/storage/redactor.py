"""What changes completions and feedback before anything of them is written."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from briggs.types.completions import Completion

Value = TypeVar("Value")


class Redactor(Protocol):
    """Replaces what must not be recorded. May be used from any thread."""

    @property
    def is_quick(self) -> bool:
        """Whether the event loop can wait until a small completion is redacted."""
        ...

    def redact(self, completion: Completion) -> Completion:
        """A completion as it is to be recorded. The one that is given does not change."""
        ...

    def redact_value(self, value: Value) -> Value:
        """A value of JSON as it is to be recorded."""
        ...


def redact_value(redactor: Redactor | None, value: Any) -> Any:
    """A value as it is to be recorded, if there is a redactor."""
    return value if redactor is None else redactor.redact_value(value)
