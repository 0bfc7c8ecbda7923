"""A real Briggs, as Log10's clients see it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.processes import Server, run_server


@pytest.fixture(scope="package")
def log10(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(tmp_path_factory.mktemp("log10") / "data") as server:
        yield server


@pytest.fixture(scope="package")
def acme(log10: Server) -> str:
    """The key of an administrator of another organization."""
    made = log10.send("POST", "/api/v1/organizations", {"slug": "acme", "name": "Acme"})
    key: str = made.json["key"]["value"]
    return key
