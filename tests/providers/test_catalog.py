"""The catalog's vendors, and the providers that a file names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from briggs.providers.catalog import (
    CATALOG,
    VENDORS,
    check_providers,
    find_misplaced_keys,
    find_only,
    open_providers,
)
from briggs.providers.http import HttpProvider
from briggs.settings import Settings, SettingsError, open_settings
from briggs.transport import Transport
from briggs.types.errors import ProviderNotReady
from briggs.types.keys import create_secret
from tests.api.behaviours import ok
from tests.cli.running import run
from tests.processes import Upstream, run_server


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
    """Each vendor has a unique name, an address with TLS or on this machine, and one key."""
    assert len(VENDORS) == len(CATALOG)
    for vendor in CATALOG:
        assert "/" not in vendor.name
        address = vendor.base_url or "https://"
        assert address.startswith("https://" if vendor.key_variable else "http://127.0.0.1:")
        assert not address.endswith("/") or vendor.base_url is None


async def test_without_a_file(tmp_path: Path, transport: Transport) -> None:
    """Without a file, every vendor of the catalog with a key can be used."""
    settings = Settings(data=tmp_path, environment={"GROQ_API_KEY": "k"})
    providers = open_providers(settings, transport=transport)
    assert providers["groq"].is_configured
    assert providers["ollama"].is_configured
    assert not providers["openai"].is_configured


async def test_with_a_file(tmp_path: Path, transport: Transport) -> None:
    """With a file, there are only its providers."""
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
    """A custom base URL gets only the key that its settings name."""
    settings = read(
        tmp_path,
        '[providers.mine]\nkind = "openai"\nbase_url = "http://elsewhere.example/v1"\n',
        OPENAI_API_KEY="secret",
    )
    mine = open_providers(settings, transport=transport)["mine"]
    assert isinstance(mine, HttpProvider)
    assert "secret" not in repr(vars(mine))


async def test_azures_key_goes_to_its_customers(tmp_path: Path, transport: Transport) -> None:
    """Azure has only its customers' addresses, so they need not name the key's variable."""
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
    """A single provider answers bare names. With several, none does by default."""
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
    """An unknown kind, or a kind without its address, gives an error that names it."""
    with pytest.raises(SettingsError, match=word):
        read(tmp_path, text)


OURS = create_secret()


@pytest.mark.parametrize(
    ("row", "variable", "is_refused"),
    [
        ('kind = "openai"', "OPENAI_API_KEY", True),
        ('kind = "groq"', "GROQ_API_KEY", True),
        ('kind = "cohere"', "CO_API_KEY", True),
        ('kind = "groq"\nkey_variable = "MINE"', "MINE", True),
        ('base_url = "https://api.openai.com/v1/"\nkey_variable = "MINE"', "MINE", True),
        ('base_url = "http://127.0.0.1:9/v1"\nkey_variable = "XAI_API_KEY"', "XAI_API_KEY", True),
        ('kind = "bedrock"\nregion = "eu-west-1"', "AWS_BEARER_TOKEN_BEDROCK", True),
        # Another Briggs may be called with a key of its own.
        ('base_url = "http://10.0.0.7:10100/v1"\nkey_variable = "MINE"', "MINE", False),
    ],
)  # fmt: skip
async def test_a_key_of_briggs_is_not_sent_to_a_vendor(
    tmp_path: Path, transport: Transport, row: str, variable: str, is_refused: bool
) -> None:
    """A Briggs key in a vendor's variable is refused. Messages name only the variable."""
    settings = read(tmp_path, f"[providers.one]\n{row}\n", **{variable: f"{OURS}\n"})
    warned = [line for line in settings.warnings if f"{variable} holds a key of Briggs" in line]
    assert bool(warned) == is_refused
    assert OURS not in "".join(settings.warnings)
    provider = open_providers(settings, transport=transport)["one"]
    assert provider.is_configured != is_refused
    if is_refused:
        with pytest.raises(ProviderNotReady, match=f"{variable} holds a key of Briggs"):
            await provider.list_models()


async def test_a_key_of_briggs_without_a_file(tmp_path: Path, transport: Transport) -> None:
    """Without a file it does not count as the vendor's key, so `local` still answers bare names."""
    settings = Settings(data=tmp_path, environment={"OPENAI_API_KEY": OURS})
    assert not open_providers(settings, transport=transport)["openai"].is_configured
    assert find_only(settings) == "local"
    [line] = find_misplaced_keys(settings.environment)
    assert line.startswith("OPENAI_API_KEY holds a key of Briggs")


def test_a_served_key_of_briggs(tmp_path: Path) -> None:
    """The start, the check and a call explain the problem, and the vendor never gets the key."""
    upstream = Upstream({"ok": ok})
    config = upstream.config(key_variable="OPENAI_API_KEY")
    variables = {"OPENAI_API_KEY": OURS}
    with run_server(tmp_path / "data", config=config, environment=variables) as server:
        request = {"model": "ok/m-1", "messages": [{"role": "user", "content": "hi"}]}
        for stream in (False, True):
            reply = server.chat({**request, "stream": stream})
            assert (reply.status, reply.json["error"]["code"]) == (500, "provider_not_ready")
            assert "OPENAI_API_KEY holds a key of Briggs" in reply.json["error"]["message"]
    assert upstream.seen == []
    upstream.close()
    log = (tmp_path / "data.log").read_text()
    assert "WARNING" in log
    assert "OPENAI_API_KEY holds a key of Briggs" in log
    checked = run("config", "check", str(tmp_path / "data.toml"), OPENAI_API_KEY=OURS)
    assert "OPENAI_API_KEY, which is a Briggs key and is not sent" in checked.output
    with run_server(tmp_path / "bare", environment=variables) as server:
        reply = server.chat({**request, "model": "openai/gpt-5"})
        assert "OPENAI_API_KEY holds a key of Briggs" in reply.json["error"]["message"]
    assert "OPENAI_API_KEY holds a key of Briggs" in (tmp_path / "bare.log").read_text()
    for said in (log, checked.output, reply.body.decode()):
        assert OURS not in said
