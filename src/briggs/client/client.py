"""`AsyncClient`: the asyncio client of one Briggs server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, NamedTuple, ParamSpec, Self, TypeVar

from briggs.client.address import choose_server
from briggs.client.chat import Chat
from briggs.client.completions import Completions
from briggs.client.connection import RETRIES_MAX, TIMEOUT_S, ServerConnection, replies
from briggs.client.datasets import Datasets
from briggs.client.drift import Drift
from briggs.client.eval_runs import EvalRuns
from briggs.client.feedback import FeedbackCalls
from briggs.client.feedback_tasks import FeedbackTasks
from briggs.client.judges import Judges
from briggs.client.keys import Keys
from briggs.client.lake import LakeCalls
from briggs.client.models import Models
from briggs.client.nodes import NodeCalls
from briggs.client.organizations import Organizations
from briggs.client.preferences import Preferences
from briggs.client.prompts import Prompts
from briggs.client.retention import Retention
from briggs.client.rollups import Rollups
from briggs.client.search import Search
from briggs.client.sessions import Sessions
from briggs.client.statistics import StatisticsCalls
from briggs.client.test_runs import TestRuns
from briggs.transport import Reply

P = ParamSpec("P")
T = TypeVar("T")


class RawResponse(NamedTuple, Generic[T]):
    """What a call returns, and the HTTP responses that it came from."""

    value: T
    """What the call returns."""
    replies: list[Reply]
    """The HTTP responses in order, each with `status`, `headers` and `body`. Usually one."""


class AsyncClient:
    """An asyncio client of one Briggs server. Every call may raise `ClientError`.

    Without `base_url` and `api_key` it uses `BRIGGS_URL` and `BRIGGS_API_KEY`, and otherwise the
    server that runs on this machine. A request that gets a 429 or 5xx, or does not reach the
    server, is retried up to `retries_max` times. `timeout_s` is how long to wait for the next
    bytes of an answer.

    ```python
    async with AsyncClient() as client:
        async for completion in client.completions.iterate(tags=["billing"]):
            print(completion.id)
    ```
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        retries_max: int = RETRIES_MAX,
    ) -> None:
        server = choose_server(base_url, api_key)
        self._connection = ServerConnection(
            base_url=server.url,
            api_key=server.api_key,
            timeout_s=timeout_s,
            retries_max=retries_max,
        )
        self.chat = Chat(self._connection)
        self.completions = Completions(self._connection)
        self.sessions = Sessions(self._connection)
        self.statistics = StatisticsCalls(self._connection)
        self.feedback = FeedbackCalls(self._connection)
        self.feedback_tasks = FeedbackTasks(self._connection)
        self.preferences = Preferences(self._connection)
        self.datasets = Datasets(self._connection)
        self.drift = Drift(self._connection)
        self.judges = Judges(self._connection)
        self.eval_runs = EvalRuns(self._connection)
        self.test_runs = TestRuns(self._connection)
        self.prompts = Prompts(self._connection)
        self.models = Models(self._connection)
        self.keys = Keys(self._connection)
        self.organizations = Organizations(self._connection)
        self.nodes = NodeCalls(self._connection)
        self.retention = Retention(self._connection)
        self.lake = LakeCalls(self._connection)
        self.rollups = Rollups(self._connection)
        self.search = Search(self._connection)

    @property
    def base_url(self) -> str:
        """The server's address, without `/v1`."""
        return self._connection.base_url

    async def with_raw_response(
        self, call: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> RawResponse[T]:
        """Make a call and also return its HTTP responses.

        For example: `await client.with_raw_response(client.models.list)`.
        """
        seen: list[Reply] = []
        token = replies.set(seen)
        try:
            return RawResponse(await call(*args, **kwargs), seen)
        finally:
            replies.reset(token)

    async def close(self) -> None:
        """Close every connection."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.close()
