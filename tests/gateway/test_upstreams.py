"""The providers and models before and after the file is read again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from briggs.gateway.models import list_models
from briggs.gateway.upstreams import Upstreams
from briggs.settings import FileSettings, LimitSettings, LocalSettings, Settings


def read(folder: Path, file: FileSettings) -> Settings:
    return Settings(data=folder, config=folder / "briggs.toml", file=file)


def count_closes(upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count which of them are closed."""
    closed: list[str] = []

    def watch(name: str, close: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def note() -> None:
            closed.append(name)
            await close()

        return note

    for name, provider in upstreams.models.providers.items():
        monkeypatch.setattr(provider, "close", watch(name, provider.close))
    return closed


async def test_local_models_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Local models are handed on, and the last reading closes them."""
    first = Upstreams(read(tmp_path, FileSettings()))
    second = Upstreams(read(tmp_path, FileSettings()), before=first)
    assert first.models.providers["local"] is second.models.providers["local"]
    closed = count_closes(second, monkeypatch)
    await first.retire()
    assert closed == []
    await second.close()
    assert closed == ["local"]


@pytest.mark.parametrize(
    "file",
    [
        FileSettings(local=LocalSettings(parallel=2)),
        FileSettings(limits=LimitSettings(upstream_timeout_s=700)),
    ],
)
async def test_local_models_as_told_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: FileSettings
) -> None:
    """If the settings of local models change, new ones are started."""
    first = Upstreams(read(tmp_path, FileSettings()))
    closed = count_closes(first, monkeypatch)
    second = Upstreams(read(tmp_path, file), before=first)
    assert first.models.providers["local"] is not second.models.providers["local"]
    await first.retire()
    assert closed == ["local"]
    await second.close()


async def test_retiring_waits_for_the_last_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replaced upstreams are closed when the last call that uses them has ended."""
    upstreams = Upstreams(read(tmp_path, FileSettings()))
    closed = count_closes(upstreams, monkeypatch)
    upstreams.models.calls += 2
    retiring = asyncio.create_task(upstreams.retire())
    upstreams.models.leave()
    await asyncio.sleep(0)
    assert closed == []
    upstreams.models.leave()
    await retiring
    assert closed == ["local"]


async def test_a_server_of_two_wires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a file, a server with two wires lists its models once, and answers on both."""
    upstreams = Upstreams(Settings(data=tmp_path))

    async def tell() -> list[dict[str, Any]]:
        return [{"id": "m"}]

    for provider in upstreams.models.providers.values():
        monkeypatch.setattr(provider, "list_models", tell)
    listed = [model["id"] for model in await list_models(models=upstreams.models)]
    assert "ollama/m" in listed
    assert "ollama-native/m" not in listed
    assert "ollama-native" in upstreams.models.providers
    await upstreams.close()
