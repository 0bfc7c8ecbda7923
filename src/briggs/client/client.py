"""`AsyncClient`: one server's completions, chat, models and keys."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from briggs.client.chat import Chat
from briggs.client.completions import Completions
from briggs.client.connection import Connection
from briggs.client.keys import Keys
from briggs.client.models import Models


class AsyncClient:
    """A client of one Briggs server, for asyncio. Every call raises `ClientError`.

    ```python
    async with AsyncClient("http://127.0.0.1:10100", api_key="sk-briggs-...") as client:
        async for completion in client.completions.iterate(tags=["billing"]):
            print(completion.id)
    ```
    """

    def __init__(self, base_url: str, api_key: str | None = None) -> None:
        self._connection = Connection(base_url=base_url, api_key=api_key)
        self.chat = Chat(self._connection)
        self.completions = Completions(self._connection)
        self.models = Models(self._connection)
        self.keys = Keys(self._connection)

    @property
    def base_url(self) -> str:
        """The server's address, without `/v1`."""
        return self._connection.base_url

    async def close(self) -> None:
        """Close every connection."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
