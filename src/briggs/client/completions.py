"""The client's completions: create, retrieve, list, iterate, update and delete."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal, TypedDict, Unpack
from urllib.parse import quote

import msgspec
from msgspec import UNSET, UnsetType

from briggs.client.connection import (
    ANSWER_BYTES_MAX,
    RETRIES_MAX,
    ServerConnection,
    encode_query,
    omit_none,
)
from briggs.client.errors import ConnectionLost, ServerUnreachable
from briggs.client.feedback import Feedback
from briggs.client.logged import LoggedCompletion
from briggs.types.completions import Attempt, Fix, Status, create_id
from briggs.types.json import Object, encode, from_builtins, to_builtins
from briggs.types.lines import LineReader
from briggs.types.record_lines import COMPLETION
from briggs.types.response import CreateChatCompletionResponse
from briggs.types.stored import ChatCompletionDeleted

_PATH = "/v1/chat/completions"
_LOGGED = "/api/v1/completions"
_PAGE = 100
"""The most completions that the server returns in one page."""

Include = Literal["request", "received", "feedback"]


class CompletionDetails(Object):
    """What Briggs recorded about a call besides its answer: the `briggs` member of an item."""

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
    p_mean: float | None = None
    p_least: float | None = None
    key_id: str | None = None
    attempts: list[Attempt] = msgspec.field(default_factory=list)
    retry_count: int | None = None
    retry_of: str | None = None
    http_status: int | None = None
    failure_kind: str | None = None
    failure_reason: str | None = None
    call_site: dict[str, Any] = msgspec.field(default_factory=dict)
    bodies_deleted_at: float | None = None
    """Unix time in seconds at which its messages were deleted, as `[retention]` says."""
    archived: bool = False
    """Whether it was read from the lake."""
    redacted: dict[str, int] = msgspec.field(default_factory=dict)
    """How many texts of each kind were redacted before it was recorded."""
    request: Any = UNSET
    """The caller's request as JSON. Present only if `include` names it."""
    received: Any = UNSET
    """What the upstream sent. Present only if `include` names it."""
    feedback: list[Feedback] | UnsetType = UNSET
    """The feedback about it, oldest first. Present only if `include` names it."""


class StoredCompletion(Object):
    """One recorded call: the answer, its metadata, and in `briggs` the details of the call.

    The choices are plain JSON, because a failed call may have only part of an answer. For a
    call that finished, `to_response` returns the answer as a typed object.
    """

    id: str
    briggs: CompletionDetails
    choices: list[dict[str, Any]] = msgspec.field(default_factory=list)
    """Empty if the logged answer has another vendor's format. That answer is in `extra`."""
    object: str = "chat.completion"
    created: int | None = None
    model: str | None = None
    metadata: dict[str, str] | None = None
    usage: dict[str, Any] | UnsetType | None = UNSET

    def to_response(self) -> CreateChatCompletionResponse:
        """The answer as the caller got it. Raises `msgspec.ValidationError` if it is partial."""
        members = to_builtins(self)
        del members["briggs"]
        return from_builtins(members, CreateChatCompletionResponse)


class CompletionPage(Object):
    """One page of a list. While `has_more` is true, ask for the next with `after=page.last_id`."""

    data: list[StoredCompletion]
    has_more: bool
    first_id: str | None = None
    last_id: str | None = None


class CompletionCount(Object):
    """How many completions there are. If `count_is_exact` is false, there are at least `count`."""

    count: int
    count_is_exact: bool


class ExportedLine(msgspec.Struct):
    """A line of an export, reduced to what it is about."""

    object: str
    id: str
    created_at: float

    @property
    def is_completion(self) -> bool:
        return self.object == COMPLETION


class ImportOutcome(Object):
    """What became of a line of an import: the id and whether it is new, or why it was refused."""

    id: str = ""
    is_new: bool = False
    error: str | None = None


class _Outcomes(Object):
    data: list[ImportOutcome]


class CompletionsDeleted(Object):
    """How many completions were deleted."""

    deleted: int


class _Page(msgspec.Struct):
    """A page whose items are kept as raw JSON."""

    data: list[msgspec.Raw]
    has_more: bool
    last_id: str


class CompletionFilters(TypedDict, total=False):
    """Selects and orders completions. A completion must match every filter that is given."""

    model: str
    provider: str
    status: Literal["finished", "failed", "started", "any"]
    """The server's default is `finished`."""
    tags: Sequence[str]
    """The completion must have all of them."""
    without_tags: Sequence[str]
    """The completion must have none of them."""
    violates: Sequence[str]
    """Ids of rules, such as C3. The answer must break all of them."""
    caller_left: bool
    """Whether the caller left before the end of the answer."""
    session_id: str
    source: Literal["gateway", "client"]
    """`gateway` if Briggs answered; `client` if a program logged an answer from elsewhere."""
    user: str
    """The end user: the request's `user`."""
    finish_reason: str
    """For example `length`. At least one choice must have it."""
    failure_kind: str
    """For example `timeout`."""
    duration_ms_min: float
    duration_ms_max: float
    cost_usd_min: float
    cost_usd_max: float
    """Bounds are inclusive. A completion with an unknown value matches none of them."""
    metadata: Mapping[str, str]
    created_from: float
    """Unix time in seconds, inclusive."""
    created_to: float
    """Unix time in seconds, exclusive."""
    text: str
    """Words that the request or the answer contains."""
    filter: str
    """A condition such as `tag = support and p_least < 0.2 and "refund"`."""
    sort: Literal["time", "duration", "cost", "tokens", "p_mean", "p_least"]
    """The server's default is `time`. Unknown values come last."""
    order: Literal["asc", "desc"]
    """The server's default is `asc`: oldest first, or the least value first."""
    include: Sequence[Include]
    archived: bool
    """Whether to list the lake instead of the record. It knows fewer filters. For a deletion,
    false spares what is in the lake."""


class _Ungraded(Object):
    completions: list[LoggedCompletion]


class Completions:
    """`client.completions`: OpenAI's stored-completions API with more filters.

    https://platform.openai.com/docs/api-reference/chat/list
    """

    def __init__(self, connection: ServerConnection) -> None:
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
        """Log a call that was answered elsewhere. Repeat the same `id` to add to it.

        The request and the response may be plain JSON or Briggs types. `briggs.log` does the
        same without waiting for the server, and works while the server is down.
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
        """Completions that a feedback task selects and that have no feedback, newest first."""
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
        """Count the completions that match. Stops at 10,000, or after a quarter of a second."""
        query = [*encode_filters(filters), ("limit", "0"), ("count", "true")]
        return await self._connection.request("GET", _PATH, CompletionCount, query=query)

    async def iterate(
        self, *, limit: int | None = None, **filters: Unpack[CompletionFilters]
    ) -> AsyncIterator[StoredCompletion]:
        """All completions, or the first `limit`. Pages are requested as they are needed."""
        async for item in self.download(limit=limit, **filters):
            yield self._connection.read(item, StoredCompletion)

    async def download(
        self,
        *,
        limit: int | None = None,
        after: str = "",
        **filters: Unpack[CompletionFilters],
    ) -> AsyncIterator[bytes]:
        """Like `iterate`, but yields each completion as the JSON that the server sent.

        `after` is the id of the completion that comes before the first.
        """
        query, left = encode_filters(filters), limit
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
                raise self._connection.doubt("a list repeats its last page")
            after = page.last_id
            left = None if left is None else left - len(page.data)

    def _read_page(self, body: bytes) -> _Page:
        try:
            return msgspec.json.decode(body, type=_Page)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            # The fast decoder rejects lone surrogates, which JSON allows.
            page = self._connection.read(body, CompletionPage)
            data = [msgspec.Raw(encode(item)) for item in page.data]
            return _Page(data=data, has_more=page.has_more, last_id=page.last_id or "")

    async def export(
        self, *, after: str = "", feedback: bool = False, **filters: Unpack[CompletionFilters]
    ) -> AsyncIterator[bytes]:
        """All completions of any status as lines of JSON, which `import_lines` reads back.

        `feedback` adds the feedback about each of them, and lines for its tasks. After a lost
        connection, the export goes on after the last line that arrived.
        """
        query = encode_filters({"status": "any", **filters})
        query += [("include", "feedback")] if feedback else []
        failures = 0
        while True:
            try:
                async with self._connection.stream(
                    "GET",
                    f"{_LOGGED}/export",
                    content_type="application/x-ndjson",
                    query=[*query, *([("after", after)] if after else [])],
                    # Only one line at a time is in memory, so the length does not matter.
                    answer_bytes_max=math.inf,
                ) as reply:
                    reader = LineReader(line_bytes_max=ANSWER_BYTES_MAX)
                    async for piece in reply.body:
                        for line in self._connection.split(reader, piece):
                            line_of = self._connection.read(line, ExportedLine)
                            after = line_of.id if line_of.is_completion else after
                            failures = 0
                            yield line
                return
            except (ConnectionLost, ServerUnreachable):
                failures += 1
                if not after or failures > RETRIES_MAX:
                    raise

    async def import_lines(self, lines: Sequence[bytes]) -> Sequence[ImportOutcome]:
        """Take lines of an export into the record, or calls that were answered elsewhere.

        What is on record already stays as it is. So an import can be repeated. The outcomes are in
        the order of the lines, of which there may be 1,000. It needs the scope `admin`.
        """
        body = await self._connection.send(
            "POST",
            f"{_LOGGED}/import",
            body=b"\n".join(lines),
            headers={"content-type": "application/x-ndjson"},
            is_idempotent=True,
        )
        return self._connection.read(body, _Outcomes).data

    async def retrieve(self, id: str, *, include: Sequence[Include] = ()) -> StoredCompletion:
        """One completion, by Briggs's id or the upstream's. Raises `NotFound`."""
        query = encode_filters({"include": include})
        return await self._connection.request("GET", _path(id), StoredCompletion, query=query)

    async def retrieve_received(self, id: str) -> bytes:
        """The bytes that the upstream sent: a body, or the events of a stream.

        Raises `NotFound` if the id is unknown, or if the upstream sent nothing.
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
        """Delete a completion with its feedback for good. Raises `NotFound`."""
        return await self._connection.request("DELETE", _path(id), ChatCompletionDeleted)

    async def delete_all(self, **filters: Unpack[CompletionFilters]) -> CompletionsDeleted:
        """Delete all completions that match, of any status, for good. At least one is required."""
        query = encode_filters(filters)
        return await self._connection.request("DELETE", _LOGGED, CompletionsDeleted, query=query)


_AS_THEY_ARE = (
    *("model", "provider", "status", "session_id", "source", "user", "finish_reason"),
    *("failure_kind", "text", "filter", "sort", "order"),
    *("duration_ms_min", "duration_ms_max", "cost_usd_min", "cost_usd_max"),
)


def encode_filters(filters: CompletionFilters) -> list[tuple[str, str]]:
    """The filters as query parameters. A filter with several values is repeated."""
    query = [(name, str(value)) for name, value in filters.items() if name in _AS_THEY_ARE]
    if "caller_left" in filters:
        query.append(("caller_left", "true" if filters["caller_left"] else "false"))
    if "archived" in filters:
        query.append(("archived", "true" if filters["archived"] else "false"))
    query += [("tag", tag) for tag in filters.get("tags", ())]
    query += [("without_tag", tag) for tag in filters.get("without_tags", ())]
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
