"""Vendors as rows, and providers as the file names them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from briggs.providers.catalog import CATALOG, VENDORS, check_providers, find_only, open_providers
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
    return open_settings(data=tmp_path, config=path, environment=environment, check=check_providers)


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


async def test_azures_key_goes_to_its_customers(tmp_path: Path, transport: Transport) -> None:
    """Azure has no address but its customers', so they need not name the variable."""
    settings = read(
        tmp_path,
        '[providers.azure]\nkind = "azure"\nbase_url = "https://r.openai.azure.com/openai/v1"\n',
        AZURE_OPENAI_API_KEY="secret",
    )
    azure = open_providers(settings, transport=transport)["azure"]
    assert isinstance(azure, HttpProvider)
    assert azure.is_configured
    assert "secret" in repr(vars(azure))


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
def test_unknown_kinds(tmp_path: Path, text: str, word: str) -> None:
    """A kind that the catalog does not know, or that needs an address, says so by name."""
    with pytest.raises(SettingsError, match=word):
        read(tmp_path, text)
