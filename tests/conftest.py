"""What every floor's tests may ask for: a real server, an upstream behind it, and PostgreSQL."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.api.behaviours import BEHAVIOURS
from tests.postgres import Postgres
from tests.process_state import list_changes, read_state
from tests.processes import Server, Upstream, list_cases, load_case, replay, run_server

# A busy machine is no failure, so there is no deadline.
settings.register_profile("default", deadline=None)
settings.load_profile("default")

# The key that every provider of the tests sends; it must be found nowhere on disk.
CANARY = "canary-7f3a9c51e2"


@pytest.fixture(autouse=True)
def process_state() -> Iterator[None]:
    """Fails a test that leaves the process changed for others: its limits, handlers, directory...

    It is set up after the fixtures of sessions and modules, and so does not blame a test for them.
    """
    before = read_state()
    yield
    changes = list_changes(before, read_state())
    assert not changes, "\n".join(changes)


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    """An upstream with every case and every way to go wrong."""
    cases = {id: replay(load_case(id)) for id in list_cases()}
    upstream = Upstream({**BEHAVIOURS, **cases})
    yield upstream
    upstream.close()


@pytest.fixture(scope="session")
def server(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One Briggs for all the tests that leave it as it was, in front of `upstream`."""
    folder = tmp_path_factory.mktemp("briggs")
    config = f"""
default_provider = "ok"
[limits]
upstream_timeout_s = 60
body_bytes_max = 3000000
body_timeout_s = 3
[models.fast]
targets = ["ok/m-1"]
[models.second]
targets = ["broken/m-1", "ok/m-2"]
[models.impatient]
targets = ["hangs/m"]
upstream_timeout_s = 0.5
[providers.keyless]
kind = "groq"
[providers.mistral-wire]
kind = "mistral"
base_url = "http://127.0.0.1:1/v1"
[providers.away]
base_url = "http://127.0.0.1:1/v1"
{upstream.config(key_variable="MINE_KEY")}
"""
    with run_server(folder / "data", config=config, environment={"MINE_KEY": CANARY}) as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The worker's own PostgreSQL. Take a `postgres_database` of it, and leave it running."""
    with Postgres.run() as cluster:
        yield cluster


@pytest.fixture
def postgres_database(postgres: Postgres) -> Iterator[str]:
    """The URL of an empty database of this test's own."""
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


def pytest_xdist_auto_num_workers() -> int:
    """How many workers `make test` starts. Tests wait for other processes and for timeouts for a
    third of their time, so there are more than cores.
    """
    return len(os.sched_getaffinity(0)) + 2


def pytest_configure() -> None:
    """Let Ctrl-C end what the tests start. A shell that starts them in the background lets them
    ignore it, and ignoring is inherited.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection() -> None:
    """Read the tests without looking for garbage, of which hardly any is made."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Look for garbage again, but not among the modules and the tests, which stay."""
    gc.freeze()
    gc.enable()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name long or binary bytes by their argument: compressed ones differ from run to run."""
    if isinstance(val, bytes) and (len(val) > 60 or not val.isascii()):
        return argname
    return None
