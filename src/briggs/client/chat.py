"""Requests a chat completion, whole or streamed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Literal, Self, overload

import msgspec

from briggs.client.connection import ServerConnection, read_refusal
from briggs.client.errors import ConnectionLost, InvalidAnswer
from briggs.client.marks import current_session, current_tags, join_tags
from briggs.types.chunk import CreateChatCompletionStreamResponse
from briggs.types.json import decode
from briggs.types.response import CreateChatCompletionResponse
from briggs.types.sse import Event, EventReader, EventTooLarge

_PATH = "/v1/chat/completions"


class ChatCompletionStream:
    """The chunks of an answer. Read them with `async for`; leaving `async with` hangs up.

    A stream that ends before `[DONE]` raises `ConnectionLost`. A stream that the server aborts
    raises `Refused`. So if the loop ends without an error, the answer is complete.
    """

    def __init__(
        self, body: AsyncIterator[bytes], *, headers: Mapping[str, str], open_parts: AsyncExitStack
    ) -> None:
        self.completion_id = headers.get("x-briggs-completion-id")
        """Briggs's id of this call. Use it to retrieve the completion."""
        self._headers = headers
        self._open_parts = open_parts
        self._chunks = self._read(body)

    def __aiter__(self) -> AsyncIterator[CreateChatCompletionStreamResponse]:
        return self._chunks

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Hang up. If the answer has not ended, the server records the call as failed."""
        await self._open_parts.aclose()

    async def _read(
        self, body: AsyncIterator[bytes]
    ) -> AsyncIterator[CreateChatCompletionStreamResponse]:
        reader = EventReader()
        async with self._open_parts:
            async for piece in body:
                for event in self._read_events(reader, piece):
                    if event.data == b"[DONE]":
                        return
                    yield self._read_chunk(event.data)
        raise ConnectionLost("the answer ended before `[DONE]`")

    def _read_events(self, reader: EventReader, piece: bytes) -> list[Event]:
        try:
            return reader.feed(piece)
        except EventTooLarge as error:
            raise InvalidAnswer(str(error)) from error

    def _read_chunk(self, data: bytes) -> CreateChatCompletionStreamResponse:
        try:
            return decode(data, CreateChatCompletionStreamResponse)
        except msgspec.DecodeError as error:
            if b'"error"' in data:
                raise read_refusal(data, status=None, headers=self._headers) from None
            raise InvalidAnswer(f"a chunk has the wrong format: {error}") from error


class ChatCompletions:
    """`client.chat.completions`. https://platform.openai.com/docs/api-reference/chat/create"""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    @overload
    async def create(
        self,
        *,
        model: str,
        messages: Sequence[Any],
        stream: Literal[False] = False,
        tags: Sequence[str] = (),
        session_id: str | None = None,
        **parameters: Any,
    ) -> CreateChatCompletionResponse: ...
    @overload
    async def create(
        self,
        *,
        model: str,
        messages: Sequence[Any],
        stream: Literal[True],
        tags: Sequence[str] = (),
        session_id: str | None = None,
        **parameters: Any,
    ) -> ChatCompletionStream: ...
    @overload
    async def create(
        self,
        *,
        model: str,
        messages: Sequence[Any],
        stream: bool,
        tags: Sequence[str] = (),
        session_id: str | None = None,
        **parameters: Any,
    ) -> CreateChatCompletionResponse | ChatCompletionStream: ...
    async def create(
        self,
        *,
        model: str,
        messages: Sequence[Any],
        stream: bool = False,
        tags: Sequence[str] = (),
        session_id: str | None = None,
        **parameters: Any,
    ) -> CreateChatCompletionResponse | ChatCompletionStream:
        """Create a chat completion. `parameters` may hold any other field of the request.

        `tags` and `session_id` are recorded, and not sent to the provider. The tags and session
        of the `briggs.tags` and `briggs.session` blocks around the call are recorded too.
        Raises `ClientError`.
        """
        body = {"model": model, "messages": list(messages), **parameters}
        headers = record_headers(tags=tags, session_id=session_id)
        if stream:
            return await self._stream({**body, "stream": True}, headers)
        return await self._connection.request(
            "POST", _PATH, CreateChatCompletionResponse, body=body, headers=headers
        )

    async def _stream(
        self, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> ChatCompletionStream:
        async with AsyncExitStack() as stack:
            reply = await stack.enter_async_context(
                self._connection.stream(
                    "POST", _PATH, content_type="text/event-stream", body=body, headers=headers
                )
            )
            return ChatCompletionStream(
                reply.body, headers=reply.headers, open_parts=stack.pop_all()
            )


class Chat:
    """`client.chat`."""

    def __init__(self, connection: ServerConnection) -> None:
        self.completions = ChatCompletions(connection)


def record_headers(*, tags: Sequence[str], session_id: str | None) -> dict[str, str]:
    """The headers that set the tags and the session of a recorded call."""
    session = current_session()
    headers = {
        "x-briggs-tags": ",".join(join_tags(current_tags(), tags)),
        "x-briggs-session": session_id or (session.id if session else ""),
    }
    return {name: value for name, value in headers.items() if value}
