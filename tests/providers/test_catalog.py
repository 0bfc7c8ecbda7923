"""Vendors as rows, and providers as the file names them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from briggs.providers.catalog import CATALOG, VENDORS, find_only, open_providers
from briggs.providers.http import HttpProvider
from briggs.settings import Settings, SettingsError, open_settings
from briggs.transport import Transport


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    transport = Transport()
    yield transport
    await transport.close()


def read(tmp_path: Path, text: str, **environment: str) -> Settings:
    path = tmp_path / "briggs.toml"
    path.write_text(text)
    return open_settings(data=tmp_path, config=path, environment=environment)


def test_rows() -> None:
    """Every vendor has a name of its own, an address over TLS or on this machine, and one key."""
    assert len(VENDORS) == len(CATALOG)
    for vendor in CATALOG:
        assert "/" not in vendor.name
        address = vendor.base_url or "https://"
        assert address.startswith("https://" if vendor.key_variable else "http://127.0.0.1:")
        assert not address.endswith("/") or vendor.base_url is None


async def test_without_a_file(tmp_path: Path, transport: Transport) -> None:
    """Without a file the whole catalog can be asked, as far as keys are there."""
    settings = Settings(data=tmp_path, environment={"GROQ_API_KEY": "k"})
    providers = open_providers(settings, transport=transport)
    assert providers["groq"].is_configured
    assert providers["ollama"].is_configured
    assert not providers["openai"].is_configured


async def test_with_a_file(tmp_path: Path, transport: Transport) -> None:
    """With a file there are its providers and no others."""
    settings = read(
        tmp_path,
        '[providers.mine]\nbase_url = "http://127.0.0.1:9000/v1/"\nkey_variable = "MINE"\n'
        '[providers.fast]\nkind = "groq"\n',
        MINE="m",
        GROQ_API_KEY="g",
        OPENAI_API_KEY="o",
    )
    providers = open_providers(settings, transport=transport)
    assert set(providers) == {"mine", "fast"}
    mine, fast = providers["mine"], providers["fast"]
    assert isinstance(mine, HttpProvider)
    assert isinstance(fast, HttpProvider)
    assert mine.base_url == "http://127.0.0.1:9000/v1"
    assert fast.base_url == "https://api.groq.com/openai/v1"


async def test_a_vendors_key_stays_with_the_vendor(tmp_path: Path, transport: Transport) -> None:
    """A base URL of one's own gets no key but the one that it names."""
    settings = read(
        tmp_path,
        '[providers.mine]\nkind = "openai"\nbase_url = "http://elsewhere.example/v1"\n',
        OPENAI_API_KEY="secret",
    )
    mine = open_providers(settings, transport=transport)["mine"]
    assert isinstance(mine, HttpProvider)
    assert "secret" not in repr(vars(mine))


@pytest.mark.parametrize(
    ("environment", "only"),
    [
        ({}, "local"),
        ({"GROQ_API_KEY": "k"}, "groq"),
        ({"GROQ_API_KEY": "k", "OPENAI_API_KEY": "k"}, None),
    ],
)
def test_who_answers_a_bare_name(
    tmp_path: Path, environment: dict[str, str], only: str | None
) -> None:
    """The only provider there is answers bare names; of several, none does unasked."""
    assert find_only(Settings(data=tmp_path, environment=environment)) == only
    assert find_only(read(tmp_path, "[providers.mine]\n", **environment)) == "mine"
    assert find_only(read(tmp_path, "", **environment)) == "local"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('[providers.mine]\nkind = "grok"', "'grok' is not in the catalog"),
        ('[providers.mine]\nkind = "azure"', "RESOURCE.openai.azure.com"),
    ],
)
async def test_unknown_kinds(tmp_path: Path, transport: Transport, text: str, word: str) -> None:
    """A kind that the catalog does not know, or that needs an address, says so by name."""
    with pytest.raises(SettingsError, match=word):
        open_providers(read(tmp_path, text), transport=transport)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("durability = 'strictly'", "durability"),
        ("durabilty = 'strict'", "durabilty"),
        ("[limits]\nin_flight_max = 0", "limits.in_flight_max"),
        ("[limits]\nin_flight_max = 'many'", "limits.in_flight_max"),
        ("store = 'postgresql://x'", 'only "sqlite"'),
        ("[providers.'a/b']\n", "no slash"),
        ("[providers.local]\n", "taken"),
        ("[providers.x]\nbase_url = 'ftp://x'", "base_url"),
        ("default_provider = 'x'", "there is no provider 'x'"),
        ("[models.fast]\ntargets = []", "targets"),
        ("[models.fast]\ntargets = ['nobody/m']", "names no provider"),
        ("[local.models]\nmine = '/nowhere.gguf'", "there is no file /nowhere.gguf"),
        ("[limits", "is not TOML"),
    ],
)
def test_the_file_is_checked(tmp_path: Path, text: str, word: str) -> None:
    """What the file may not say is refused at start, with the file and the member named."""
    with pytest.raises(SettingsError) as refused:
        read(tmp_path, text)
    assert word in str(refused.value)
    assert str(tmp_path / "briggs.toml") in str(refused.value)


def test_no_such_file(tmp_path: Path) -> None:
    """A file that is named and missing is an error, not a server without a file."""
    with pytest.raises(SettingsError, match="cannot be read"):
        open_settings(config=tmp_path / "none.toml")
