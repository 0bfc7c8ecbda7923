"""The errors that the client raises. `briggs/types/errors.py` draws them in the tree of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from briggs.types.errors import BriggsError


class ClientError(BriggsError):
    """The call failed. `str()` explains why and what to do."""


class InvalidCall(ClientError):
    """The call cannot be sent: for example, the address is invalid or a tag has two lines."""


class InvalidArgument(InvalidCall, TypeError):
    """An argument has the wrong type: for example, it cannot be written as JSON."""


class ServerUnreachable(ClientError):
    """Nothing listens at the address."""

    def __init__(self, base_url: str, *, reason: str = "", is_near: bool = True) -> None:
        advice = "start one with `briggs serve`"
        if "SSL" in reason:
            advice = f"{reason}. Without a proxy, Briggs speaks http, not https"
        elif not is_near and reason:
            advice = f"{reason}. Check the address"
        super().__init__(f"no Briggs server answers at {base_url}: {advice}")
        self.is_near = is_near
        """Whether the address is on this machine. If so, a retry would not help."""


class ConnectionLost(ClientError):
    """The connection broke, or nothing arrived before the timeout."""


class InvalidAnswer(ClientError):
    """The answer is not one that a Briggs server gives."""


class Refused(ClientError):
    """The server answered with an error status or, within a stream, with an error event."""

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
        super().__init__(message, param=param, headers=headers)
        self.status = status
        """The HTTP status. None if the error came within a stream."""
        self.type = type
        self.code = code
        self.problems = problems
        """Every error in the values of a feedback, each with a `path` and a `message`."""
        self.completion_id = self.headers.get("x-briggs-completion-id")
        """Briggs's id of the failed call, if it was recorded."""


class AuthenticationFailed(Refused):
    """The key is missing, or the server does not accept it."""


class NotFound(Refused):
    """The id or name does not exist."""
