"""Azure OpenAI's wire, beside its folders of `cases`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat import completion_create_params
from pydantic import TypeAdapter

from briggs.settings import ProviderSettings, SettingsError
from briggs.wires.openai.azure import AzureWire, open_azure
from tests.processes import create_response
from tests.wires.folders import Case, list_cases, named
from tests.wires.vendors import KEY, run_vendor

CASES = [case for case in list_cases() if case.provider in ("openai", "azure") and case.sent]
VERSION = "2025-04-01-preview"
TOKEN = "eyJhbGciOiJub25lIn0.eyJhdWQiOiJ4In0.c2ln"


@named(CASES)
def test_sent_is_what_the_sdk_sends(case: Case) -> None:
    """Requests to OpenAI and Azure match the types of OpenAI's own SDK."""
    kind = "Streaming" if case.sent.get("stream") else "NonStreaming"
    adapter = TypeAdapter(getattr(completion_create_params, f"CompletionCreateParams{kind}"))
    read: Any = adapter.validate_python(case.sent)
    # pydantic checks lists only when they are read.
    assert len(list(read["messages"])) == len(case.sent["messages"])


@pytest.mark.parametrize(
    ("version", "base_url", "url"),
    [
        (None, "https://r/openai/v1", "https://r/openai/v1/chat/completions"),
        (
            "preview",
            "https://r/openai/v1",
            "https://r/openai/v1/chat/completions?api-version=preview",
        ),
        (
            VERSION,
            "https://r/openai",
            f"https://r/openai/deployments/my%2Fown/chat/completions?api-version={VERSION}",
        ),
    ],
)
def test_addresses(version: str | None, base_url: str, url: str) -> None:
    """The model is in the address if there is an `api_version` and no `/v1`."""
    wire = AzureWire(api_version=version)
    assert wire.url(base_url, model="my/own", stream=False) == url
    query = url.partition("?")[1:]
    assert wire.models_url(base_url) == f"{base_url}/models{''.join(query)}"


@pytest.mark.parametrize(
    ("base_url", "version", "ends"),
    [
        ("https://r.openai.azure.com", None, "/openai/v1"),
        ("https://r.openai.azure.com/openai", None, "/openai/v1"),
        ("https://r.openai.azure.com/openai/deployments/d", VERSION, "/openai"),
    ],
)
def test_addresses_that_fit_neither_form(base_url: str, version: str | None, ends: str) -> None:
    """A wrong Azure address is refused, with an example of a right one."""
    row = ProviderSettings(kind="azure", base_url=base_url, api_version=version)
    with pytest.raises(SettingsError, match=f"https://RESOURCE.openai.azure.com{ends}$"):
        open_azure(row, {})
    address = f"https://r.openai.azure.com{ends}"
    open_azure(ProviderSettings(kind="azure", base_url=address, api_version=version), {})


@pytest.mark.parametrize(
    ("key", "headers"),
    [
        ("0123456789abcdef", {"api-key": "0123456789abcdef"}),
        (TOKEN, {"authorization": f"Bearer {TOKEN}"}),
    ],
)
def test_keys_and_tokens(key: str, headers: dict[str, str]) -> None:
    """A key is sent in `api-key`, and an Entra ID token as a bearer token."""
    sent = AzureWire().authorize(method="POST", url="", headers={}, body=b"", key=key)
    assert sent == headers


def answer(handler: Any, seen: Any) -> None:
    handler.send_whole(200, json.dumps(create_response("Hello")).encode())


def test_a_deployment(tmp_path: Path) -> None:
    """A deployment is called at its own address, with the key in Azure's header."""
    with (
        run_vendor(tmp_path, answer, kind="azure", path="/openai", api_version=VERSION) as vendor,
        vendor.open_client() as client,
    ):
        messages: Any = [{"role": "user", "content": "Hello"}]
        answered = client.chat.completions.create(model="azure/my-gpt", messages=messages)
        models = {"data": [{"id": "a", "capabilities": {"chat_completion": False}}, {"id": "b"}]}
        vendor.upstream.models["vendor"] = json.dumps(models).encode()
        listed = [model.id for model in client.models.list() if model.id.startswith("azure/")]
        query = "/v1/chat/completions?violates=E4"
        assert vendor.server.send("GET", query).json["data"] == []
    assert answered.model == "m-1"
    seen = vendor.upstream.seen[-1]
    address = "/vendor/openai/deployments/my-gpt/chat/completions"
    assert seen.path == f"{address}?api-version={VERSION}"
    assert seen.headers["api-key"] == KEY
    assert "authorization" not in seen.headers
    assert listed == ["azure/b"]
