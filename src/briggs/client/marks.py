"""The blocks that set the tags and the session of the calls within them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from contextvars import ContextVar, Token
from typing import Any, Self, TypeVar

from briggs.client.errors import InvalidArgument
from briggs.types.completions import create_id

Function = TypeVar("Function", bound=Callable[..., Any])

_tags: ContextVar[tuple[str, ...]] = ContextVar("briggs_tags", default=())
_session: ContextVar[SessionBlock | None] = ContextVar("briggs_session", default=None)


class _Block:
    """A block that works with both `with` and `async with`. It never waits."""

    def __enter__(self) -> Self:
        raise NotImplementedError

    def __exit__(self, *raised: object) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *raised: object) -> None:
        self.__exit__(*raised)


class SessionBlock(_Block):
    """A block whose calls belong together: `with briggs.session(tags=["checkout"]) as session`.

    Inner blocks add their tags. An inner session replaces the outer one. A task, or a thread
    that copies the context, starts with the blocks of its creator. The blocks that it opens
    affect only itself.
    """

    def __init__(self, id: str | None = None, *, tags: Sequence[str] = ()) -> None:
        self.id = id or create_id()
        self.last_completion_id: str | None = None
        """The id of the call that was recorded last, in any thread or task."""
        self.last_completion_url: str | None = None
        """The address of that call in the web app."""
        self._tags = TagsBlock(*tags)
        self._tokens: list[Token[SessionBlock | None]] = []

    def note(self, id: str, *, server_url: str) -> None:
        """Remember the call that was recorded last, and the server that has it."""
        self.last_completion_id = id
        self.last_completion_url = f"{server_url}/completions/{id}"

    def __enter__(self) -> Self:
        self._tags.__enter__()
        self._tokens.append(_session.set(self))
        return self

    def __exit__(self, *raised: object) -> None:
        _session.reset(self._tokens.pop())
        self._tags.__exit__(*raised)


class TagsBlock(_Block):
    """A block or a decorator that adds tags to calls: `@briggs.tags("billing", "eu")`."""

    def __init__(self, *names: str) -> None:
        if not all(isinstance(name, str) and name for name in names):
            raise InvalidArgument(f"tags must be non-empty strings, not {names!r}")
        self._names = names
        self._tokens: list[Token[tuple[str, ...]]] = []

    def __enter__(self) -> Self:
        self._tokens.append(_tags.set(join_tags(_tags.get(), self._names)))
        return self

    def __exit__(self, *raised: object) -> None:
        _tags.reset(self._tokens.pop())

    def __call__(self, function: Function) -> Function:
        """Wrap a function, so that each call of it runs in a block of its own."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def tagged(*args: Any, **kwargs: Any) -> Any:
                with TagsBlock(*self._names):
                    return await function(*args, **kwargs)

        else:

            @functools.wraps(function)
            def tagged(*args: Any, **kwargs: Any) -> Any:
                with TagsBlock(*self._names):
                    return function(*args, **kwargs)

        return tagged  # type: ignore[return-value]


def join_tags(*groups: Sequence[str]) -> tuple[str, ...]:
    """The tags of all groups in order, without duplicates."""
    return tuple(dict.fromkeys(tag for group in groups for tag in group))


def current_tags() -> tuple[str, ...]:
    """The tags of the current blocks, outermost first."""
    return _tags.get()


def current_session() -> SessionBlock | None:
    """The session of the innermost block that has one."""
    return _session.get()
