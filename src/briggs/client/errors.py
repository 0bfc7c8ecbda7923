"""Every error that the client raises, as one tree.

ClientError
├── InvalidCall             it cannot be sent as it stands
├── ServerUnreachable       nobody listens at the address
├── ConnectionLost          the answer broke off, or nothing came for too long
├── InvalidAnswer           whoever answered does not speak as Briggs does
└── Refused                 the server says no: `str()` is its `error.message`
    ├── AuthenticationFailed    401
    └── NotFound                404
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class ClientError(Exception):
    """The call did not succeed, and `str()` says what to do about it."""


class InvalidCall(ClientError):
    """What was given cannot be sent: an address that is none, a tag of two lines."""


class ServerUnreachable(ClientError):
    """Nobody listens at the address."""

    def __init__(self, base_url: str, *, is_near: bool = True) -> None:
        super().__init__(f"no Briggs server answers at {base_url}: start one with `briggs serve`")
        self.is_near = is_near
        """Whether that is on this very machine, where nobody is there who is not there now."""


class ConnectionLost(ClientError):
    """The answer broke off, or nothing came for longer than we wait."""


class InvalidAnswer(ClientError):
    """Whoever answered does not speak as Briggs does."""


class Refused(ClientError):
    """The server says no, by a status or, in the middle of a stream, by an error event."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None,
        type: str | None = None,
        param: str | None = None,
        code: str | None = None,
        problems: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status; None where a stream had begun."""
        self.type = type
        self.param = param
        self.code = code
        self.problems = problems
        """Everything that is wrong with the values of a feedback: a `path` and a `message` each."""
        self.headers: Mapping[str, str] = headers or {}
        """The answer's headers, their names in lower case."""
        self.completion_id = self.headers.get("x-briggs-completion-id")
        """Our id of the call that failed, where it was recorded."""


class AuthenticationFailed(Refused):
    """No key, or one that the server does not know."""


class NotFound(Refused):
    """There is no such thing."""
