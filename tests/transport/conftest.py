"""Every test of the transport runs on both event loops, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
import trustme
import uvloop

from briggs.transport import Transport
from tests.waiting import PATIENCE_S


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Both event loops: the server runs on uvloop, and the SDK on the one of its user."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    """A transport that ignores the environment of the test run.

    No task outlives its test; a socket that did would warn here, and so fail the test.
    """
    # What earlier tests left is not looked at: it would warn here.
    gc.freeze()
    transport = Transport(connect_timeout_s=PATIENCE_S, read_timeout_s=PATIENCE_S, proxies=False)
    yield transport
    await transport.close()
    # The server may just have accepted a connection that no call needs any more.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while _list_others():  # noqa: ASYNC110
                await asyncio.sleep(0.005)
    assert not _list_others()
    gc.collect()


def _list_others() -> set[asyncio.Task[object]]:
    """The tasks that have not ended, without the one that asks."""
    return {each for each in asyncio.all_tasks() if each is not asyncio.current_task()}


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority (ca.pem) and a certificate (pair.pem) for localhost and 127.0.0.1."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    pair = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    pair.private_key_and_cert_chain_pem.write_to_path(str(folder / "pair.pem"))
    return folder


@pytest.fixture
def tls(certificates: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's context. Its authority is trusted through the environment."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "pair.pem")
    return context
