"""One server for all tests of the commands."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.running import RunningServer, open_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with the provider `mine`."""
    with open_server(tmp_path_factory.mktemp("server")) as running:
        yield running
