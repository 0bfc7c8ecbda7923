"""Which requests are retried, counted at a server that fails on demand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from briggs.client import AsyncClient, NotFound, Refused
from briggs.client.errors import ConnectionLost, ServerUnreachable
from briggs.client.retries import choose_pause_s
from tests.client.recording import scripted
from tests.processes import Upstream

AT_ONCE = {"retry-after": "0"}
SESSION = b'{"session": {"id": "s-1"}}'


@pytest.fixture
def flaky() -> Iterator[Upstream]:
    upstream = Upstream(
        {
            "twice": scripted((503, AT_ONCE, b"{}"), (429, AT_ONCE, b"{}"), (201, {}, SESSION)),
            "always": scripted((500, AT_ONCE, b'{"error": "broken"}')),
            "missing": scripted((404, AT_ONCE, b'{"error": "There is none.", "param": "id"}')),
            "later": scripted((429, {"retry-after": "3600"}, b'{"error": "Come back."}')),
        }
    )
    yield upstream
    upstream.close()


def open_client(upstream: Upstream, name: str, **options: int) -> AsyncClient:
    return AsyncClient(f"http://127.0.0.1:{upstream.port}/{name}", "k", **options)


async def test_two_failures_are_not_seen(flaky: Upstream) -> None:
    """A 503 and a 429 are retried until the answer, and the retries are numbered."""
    async with open_client(flaky, "twice") as client:
        assert (await client.sessions.create()).id == "s-1"
    counts = [seen.headers.get("x-stainless-retry-count") for seen in flaky.seen]
    assert counts == [None, "1", "2"]


async def test_the_last_failure_is_raised(flaky: Upstream) -> None:
    """After `retries_max`, the server's message is raised."""
    async with open_client(flaky, "always", retries_max=1) as client:
        with pytest.raises(Refused, match="broken") as refusal:
            await client.sessions.create()
    assert refusal.value.status == 500
    assert len(flaky.seen) == 2


@pytest.mark.parametrize(("name", "error"), [("missing", NotFound), ("later", Refused)])
async def test_what_is_not_repeated(flaky: Upstream, name: str, error: type[Refused]) -> None:
    """An error that a retry cannot change, or not within a minute, is raised at once."""
    async with open_client(flaky, name) as client:
        with pytest.raises(error):
            await client.sessions.create()
    assert len(flaky.seen) == 1


def test_a_lost_post_is_not_sent_twice() -> None:
    """If the connection is lost, only requests that are safe to send twice are retried."""
    lost = ConnectionLost("gone")
    assert choose_pause_s(lost, retry=0, is_idempotent=False) is None
    assert choose_pause_s(lost, retry=0, is_idempotent=True) is not None


def test_pauses_grow() -> None:
    """Pauses grow, up to eight seconds."""
    away = ServerUnreachable("http://far.example", is_near=False)
    pauses = [choose_pause_s(away, retry=retry, is_idempotent=False) or 0 for retry in range(12)]
    assert pauses[0] < pauses[1] < pauses[2] < pauses[3]
    assert max(pauses) <= 8


def test_nobody_on_this_machine_is_said_at_once() -> None:
    """A server on this machine that is not running is not retried."""
    near = ServerUnreachable("http://127.0.0.1:10100")
    assert choose_pause_s(near, retry=0, is_idempotent=True) is None
