"""The record from outside: create, retrieve, list, iterate, update and delete completions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal, TypedDict, Unpack
from urllib.parse import quote

import msgspec
from msgspec import UNSET, UnsetType

from briggs.client.connection import Connection, encode_query, omit_none
from briggs.client.logged import LoggedCompletion
from briggs.types.completions import Attempt, Fix, Status, create_id
from briggs.types.response import CreateChatCompletionResponse
from briggs.types.stored import ChatCompletionDeleted
from briggs.types.wire import Object, encode, from_builtins, to_builtins

_PATH = "/v1/chat/completions"
_LOGGED = "/api/v1/completions"
_PAGE = 100
"""How many completions the server returns at most at once."""

Include = Literal["request", "received"]


class CompletionDetails(Object):
    """What Briggs knows of a call beside its answer; the member `briggs` of every item."""

    id: str
    created_at: float
    """Unix time in seconds."""
    status: Literal["started", "finished", "failed"]
    organization_id: str | None = None
    kind: str | None = None
    source: str | None = None
    stream: bool = False
    provider: str | None = None
    model: str | None = None
    """The model as the caller named it."""
    response_model: str | None = None
    response_id: str | None = None
    session_id: str | None = None
    user: str | None = None
    tags: list[str] = msgspec.field(default_factory=list)
    finish_reasons: list[str | None] = msgspec.field(default_factory=list)
    violates: list[str] = msgspec.field(default_factory=list)
    fixes: list[Fix] = msgspec.field(default_factory=list)
    dropped: list[str] = msgspec.field(default_factory=list)
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    usage_source: str | None = None
    cost_usd: float | None = None
    price_source: str | None = None
    duration_ms: float | None = None
    first_token_ms: float | None = None
    caller_left_ms: float | None = None
    attempts: list[Attempt] = msgspec.field(default_factory=list)
    retry_count: int | None = None
    retry_of: str | None = None
    http_status: int | None = None
    failure_kind: str | None = None
    failure_reason: str | None = None
    call_site: dict[str, Any] = msgspec.field(default_factory=dict)
    request: Any = UNSET
    """The caller's request as JSON, where it was asked for by `include`."""
    received: Any = UNSET
    """What the upstream sent, where it was asked for by `include`."""


class StoredCompletion(Object):
    """One call as the server lists it: the answer, its metadata, and what Briggs knows of it.

    The choices are plain JSON, because those of a call that failed are only as much of an
    answer as arrived; `to_response` gives the whole answer of one that finished.
    """

    id: str
    briggs: CompletionDetails
    choices: list[dict[str, Any]] = msgspec.field(default_factory=list)
    """None where a client told of an answer of another vendor's shape; that is in `extra`."""
    object: str = "chat.completion"
    created: int | None = None
    model: str | None = None
    metadata: dict[str, str] | None = None
    usage: dict[str, Any] | UnsetType | None = UNSET

    def to_response(self) -> CreateChatCompletionResponse:
        """The answer as its caller got it. Raises `msgspec.ValidationError` for half of one."""
        members = to_builtins(self)
        del members["briggs"]
        return from_builtins(members, CreateChatCompletionResponse)


class CompletionPage(Object):
    """One page of a list; go on with `after=page.last_id` while `has_more`."""

    data: list[StoredCompletion]
    has_more: bool
    first_id: str | None = None
    last_id: str | None = None


class CompletionCount(Object):
    """How many completions there are, or, where that is not exact, at least how many."""

    count: int
    count_is_exact: bool


class _Page(msgspec.Struct):
    """A page whose items stay as they came."""

    data: list[msgspec.Raw]
    has_more: bool
    last_id: str


class CompletionFilters(TypedDict, total=False):
    """Which completions, in which order, and what of each; all that is given must hold."""

    model: str
    provider: str
    status: Literal["finished", "failed", "started", "any"]
    """The server's default is `finished`."""
    tags: Sequence[str]
    """All of them must be there."""
    violates: Sequence[str]
    """Rules of the book, such as C3; the answer breaks all of them."""
    caller_left: bool
    """Whether the caller left without the end of the answer."""
    session_id: str
    source: Literal["gateway", "client"]
    """Whether Briggs answered, or a program told of an answer that it got elsewhere."""
    user: str
    """The end user, as the request names it."""
    finish_reason: str
    """Of any of the choices, such as `length`."""
    failure_kind: str
    """Such as `timeout`."""
    duration_ms_min: float
    duration_ms_max: float
    cost_usd_min: float
    cost_usd_max: float
    """Bounds are inclusive; where a value is not known, none of them is met."""
    metadata: Mapping[str, str]
    created_from: float
    """Unix time in seconds, inclusive."""
    created_to: float
    """Unix time in seconds, exclusive."""
    text: str
    """Words of the request or the answer."""
    order: Literal["asc", "desc"]
    """By time; the server's default is `asc`, oldest first."""
    include: Sequence[Include]


class _Ungraded(Object):
    completions: list[LoggedCompletion]


class Completions:
    """`client.completions`: OpenAI's stored-completions API with more filters.

    https://platform.openai.com/docs/api-reference/chat/list
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def create(
        self,
        request: Any,
        response: Any = None,
        *,
        id: str | None = None,
        status: Status = "finished",
        kind: Literal["chat", "completion"] = "chat",
        tags: Sequence[str] = (),
        session_id: str | None = None,
        duration_ms: float | None = None,
        failure_kind: str | None = None,
        failure_reason: str | None = None,
    ) -> LoggedCompletion:
        """Tell of a call that was answered elsewhere, once or bit by bit under the same `id`.

        A request or response may be plain JSON or one of our types. `briggs.log` does the same
        without waiting for the server, and also while it is away.
        """
        body = omit_none(
            status=status,
            kind=kind,
            request=request,
            response=response,
            tags=list(tags),
            session_id=session_id,
            duration=None if duration_ms is None else duration_ms / 1000,
            failure_kind=failure_kind,
            failure_reason=failure_reason,
        )
        path = f"{_LOGGED}/{quote(id or create_id(), safe='')}"
        told = await self._connection.send("POST", path, body=body, is_idempotent=True)
        return self._connection.read(told, LoggedCompletion)

    async def list_ungraded(
        self, *, limit: int | None = None, offset: int | None = None
    ) -> Sequence[LoggedCompletion]:
        """Completions that await a feedback task and have no feedback yet, the newest first."""
        query = encode_query(limit=limit, offset=offset)
        path = f"{_LOGGED}/ungraded"
        return (await self._connection.request("GET", path, _Ungraded, query=query)).completions

    async def list(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        **filters: Unpack[CompletionFilters],
    ) -> CompletionPage:
        """One page of completions, at most 100."""
        query = encode_filters(filters)
        if limit is not None:
            query.append(("limit", str(limit)))
        if after is not None:
            query.append(("after", after))
        return await self._connection.request("GET", _PATH, CompletionPage, query=query)

    async def count(self, **filters: Unpack[CompletionFilters]) -> CompletionCount:
        """How many completions match. Counting stops at 10,000, and after a quarter second."""
        query = [*encode_filters(filters), ("limit", "0"), ("count", "true")]
        return await self._connection.request("GET", _PATH, CompletionCount, query=query)

    async def iterate(
        self, *, limit: int | None = None, **filters: Unpack[CompletionFilters]
    ) -> AsyncIterator[StoredCompletion]:
        """All completions, or the first `limit`, page after page as they are needed."""
        async for item in self.download(limit=limit, **filters):
            yield self._connection.read(item, StoredCompletion)

    async def download(
        self, *, limit: int | None = None, **filters: Unpack[CompletionFilters]
    ) -> AsyncIterator[bytes]:
        """The same, each as the line of JSON that the server sent."""
        query, left, after = encode_filters(filters), limit, ""
        while left is None or left > 0:
            count = _PAGE if left is None else min(left, _PAGE)
            more = [("limit", str(count)), *([("after", after)] if after else [])]
            body = await self._connection.send("GET", _PATH, query=[*query, *more])
            page = self._read_page(body)
            for item in page.data:
                yield bytes(item)
            if not page.has_more or not page.data:
                return
            if page.last_id == after:
                raise self._connection.doubt("a page of a list ends where it began")
            after = page.last_id
            left = None if left is None else left - len(page.data)

    def _read_page(self, body: bytes) -> _Page:
        try:
            return msgspec.json.decode(body, type=_Page)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            # The quick decoder refuses lone surrogates, which JSON allows.
            page = self._connection.read(body, CompletionPage)
            data = [msgspec.Raw(encode(item)) for item in page.data]
            return _Page(data=data, has_more=page.has_more, last_id=page.last_id or "")

    async def retrieve(self, id: str, *, include: Sequence[Include] = ()) -> StoredCompletion:
        """One completion by our id or the upstream's. Raises `NotFound`."""
        query = encode_filters({"include": include})
        return await self._connection.request("GET", _path(id), StoredCompletion, query=query)

    async def retrieve_received(self, id: str) -> bytes:
        """The bytes that the upstream sent: an answer, or the events of a stream.

        Of a call whose caller got the same bytes, these. Raises `NotFound`, also for a call of
        which nothing came.
        """
        return await self._connection.send("GET", f"{_path(id)}/received")

    async def update(
        self,
        id: str,
        *,
        metadata: Mapping[str, str] | None = None,
        tags: Sequence[str] | None = None,
    ) -> StoredCompletion:
        """Replace a completion's metadata, its tags, or both. Raises `NotFound`."""
        body = omit_none(metadata=metadata, tags=tags)
        return await self._connection.request("POST", _path(id), StoredCompletion, body=body)

    async def delete(self, id: str) -> ChatCompletionDeleted:
        """Delete a completion for good. Raises `NotFound`."""
        return await self._connection.request("DELETE", _path(id), ChatCompletionDeleted)


_AS_THEY_ARE = (
    *("model", "provider", "status", "session_id", "source", "user", "finish_reason"),
    *("failure_kind", "text", "order"),
    *("duration_ms_min", "duration_ms_max", "cost_usd_min", "cost_usd_max"),
)


def encode_filters(filters: CompletionFilters) -> list[tuple[str, str]]:
    """The filters as the server's query keys, those of several values repeated."""
    query = [(name, str(value)) for name, value in filters.items() if name in _AS_THEY_ARE]
    if "caller_left" in filters:
        query.append(("caller_left", "true" if filters["caller_left"] else "false"))
    query += [("tag", tag) for tag in filters.get("tags", ())]
    query += [("violates", rule) for rule in filters.get("violates", ())]
    query += [("include", member) for member in filters.get("include", ())]
    query += [(f"metadata[{key}]", value) for key, value in filters.get("metadata", {}).items()]
    if "created_from" in filters:
        query.append(("created[gte]", repr(filters["created_from"])))
    if "created_to" in filters:
        query.append(("created[lt]", repr(filters["created_to"])))
    return query


def _path(id: str) -> str:
    return f"{_PATH}/{quote(id, safe='')}"
