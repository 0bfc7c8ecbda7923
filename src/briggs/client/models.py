"""The client's models: list and retrieve."""

from __future__ import annotations

from urllib.parse import quote

from briggs.client.connection import ServerConnection
from briggs.types.models import ListModelsResponse, Model


class Models:
    """`client.models`. https://platform.openai.com/docs/api-reference/models"""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def list(self) -> ListModelsResponse:
        """Every model that the server offers."""
        return await self._connection.request("GET", "/v1/models", ListModelsResponse)

    async def retrieve(self, id: str) -> Model:
        """One model. Its id may contain slashes and colons. Raises `NotFound`."""
        path = f"/v1/models/{quote(id, safe='/:')}"
        return await self._connection.request("GET", path, Model)
