"""The software behind an endpoint is recognised by what only it says, and otherwise not at all."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Any

import pytest

from briggs.checker import Endpoint, Software, check_endpoint
from briggs.checker.probes import PROBES
from tests.checker.llama import KEY, open_llama
from tests.checker.model import create_response
from tests.processes import Seen, Upstream, run_server

MODELS = json.dumps({"data": [{"id": "m-1", "owned_by": "somebody"}]}).encode()


async def recognise(
    *,
    headers: dict[str, str] | None = None,
    members: dict[str, Any] | None = None,
    owned_by: str = "somebody",
    pages: dict[str, dict[str, Any]] | None = None,
) -> Software | None:
    """What is recognised of an endpoint that says this."""

    def answer(handler: Any, seen: Seen) -> None:
        response = {**create_response(seen.json), **(members or {})}
        handler.send_whole(200, json.dumps(response).encode(), headers)

    upstream = Upstream({"it": answer})
    with contextlib.closing(upstream):
        models = MODELS.replace(b"somebody", owned_by.encode())
        upstream.models = {"it": b"{}", "/it/v1/models": models}
        for path, page in (pages or {}).items():
            upstream.models[f"/it{path}"] = json.dumps(page).encode()
        url = f"http://127.0.0.1:{upstream.port}/it/v1"
        async with Endpoint(url, model="m-1") as endpoint:
            async for _ in check_endpoint(endpoint, probes=PROBES[:1]):
                pass
            return endpoint.server


@pytest.mark.parametrize(
    ("said", "name", "version"),
    [
        ({"owned_by": "vllm", "pages": {"/version": {"version": "0.11.0"}}}, "vLLM", "0.11.0"),
        ({"members": {"kv_transfer_params": None}}, "vLLM", None),
        ({"pages": {"/version": {"version": "0.11.0"}}}, "vLLM", "0.11.0"),
        ({"owned_by": "llamacpp", "pages": {}}, "llama.cpp", None),
        ({"members": {"system_fingerprint": "b7123-4dca015b"}}, "llama.cpp", "b7123"),
        (
            {"pages": {"/props": {"default_generation_settings": {}, "build_info": "b7123-ab"}}},
            "llama.cpp",
            "b7123-ab",
        ),
        ({"members": {"system_fingerprint": "fp_ollama"}}, "Ollama", None),
        ({"pages": {"/api/version": {"version": "0.13.1"}}}, "Ollama", "0.13.1"),
        (
            {"owned_by": "library", "pages": {"/api/version": {"version": "0.13.1"}}},
            "Ollama",
            "0.13.1",
        ),
        (
            {
                "owned_by": "sglang",
                "pages": {"/server_info": {"tokenizer_path": "/m", "version": "0.5.4"}},
            },
            "SGLang",
            "0.5.4",
        ),
        ({"owned_by": "organization_owner"}, "LM Studio", None),
        ({"members": {"system_fingerprint": "3.3.5-native"}}, "TGI", "3.3.5"),
        ({"headers": {"x-litellm-version": "1.80.0"}}, "LiteLLM", "1.80.0"),
    ],
)
async def test_recognised(said: dict[str, Any], name: str, version: str | None) -> None:
    """Headers, owners, fingerprints, members and pages each give a server away."""
    server = await recognise(**said)
    assert server is not None
    assert (server.name, server.version) == (name, version)
    assert server.evidence


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"owned_by": "openai"},
        {"members": {"system_fingerprint": "fp_44709d6fcb"}},
        {"pages": {"/version": {"version": "1.0", "commit": "4dca015b"}}},
        {"pages": {"/props": {"version": "1.0"}}},
        {"headers": {"x-litellm": "no"}},
    ],
)
async def test_not_recognised(said: dict[str, Any]) -> None:
    """What many servers say proves nothing."""
    assert await recognise(**said) is None


async def test_a_version_is_bounded() -> None:
    """A version that is none is not shown."""
    server = await recognise(headers={"x-litellm-version": "1" * 99})
    assert server is not None
    assert server.version is None


async def test_pages_that_never_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server whose pages hang is checked all the same."""
    monkeypatch.setattr("briggs.checker.recognition.PAGE_TIMEOUT_S", 0.2)

    def answer(handler: Any, seen: Seen) -> None:
        handler.send_whole(200, json.dumps(create_response(seen.json)).encode())

    class Hanging(dict[str, bytes]):
        def get(self, key: str, default: Any = None) -> Any:
            if not key.endswith("/models"):
                time.sleep(3)
            return MODELS

    upstream = Upstream({"it": answer})
    with contextlib.closing(upstream):
        upstream.models = Hanging()
        async with Endpoint(f"http://127.0.0.1:{upstream.port}/it/v1", model="m-1") as endpoint:
            results = [each async for each in check_endpoint(endpoint, probes=PROBES[:1])]
            assert endpoint.server is None
    assert [result.verdict for result in results] == ["pass"]


async def test_real_servers(tmp_path: Path) -> None:
    """llama.cpp's own server is recognised, and so is Briggs in front of it."""
    with open_llama() as url, run_server(tmp_path / "data") as briggs:
        for base_url, model, key, name in (
            (url, "briggs-tiny", KEY, "llama.cpp"),
            (f"{briggs.url}/v1", "local/briggs-tiny", briggs.key, "Briggs"),
        ):
            async with Endpoint(base_url, model=model, key=key) as endpoint:
                async for _ in check_endpoint(endpoint, probes=PROBES[:1]):
                    pass
                assert endpoint.server is not None
                assert endpoint.server.name == name
