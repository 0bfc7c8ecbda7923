"""Speaks Azure OpenAI's wire: OpenAI's, at an address that may name the deployment.

https://learn.microsoft.com/azure/ai-foundry/openai/latest
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from briggs.settings import ProviderSettings, SettingsError
from briggs.wires.addresses import quote_model
from briggs.wires.base import ModelPage
from briggs.wires.openai.wire import OpenAIWire

# The first version that supports `stream_options`. Before it, a stream has no usage.
# https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle, 2026-11-23
_STREAM_OPTIONS_SINCE = "2024-09-01"


class AzureWire(OpenAIWire):
    """`POST {base_url}/chat/completions`. With an `api_version`, a deployment's address."""

    names_deployments = True

    def __init__(self, *, api_version: str | None = None) -> None:
        super().__init__(stream_options=(api_version or "v1") >= _STREAM_OPTIONS_SINCE)
        self._query = f"?api-version={quote(api_version)}" if api_version else ""

    def url(self, base_url: str, *, model: str, stream: bool) -> str:
        return self.address(base_url, model=model, path="/chat/completions")

    def address(self, base_url: str, *, model: str, path: str) -> str:
        if self._query and not base_url.endswith("/v1"):
            base_url = f"{base_url}/deployments/{quote_model(model)}"
        return f"{base_url}{path}{self._query}"

    def authorize(
        self, *, method: str, url: str, headers: dict[str, str], body: bytes, key: str | None
    ) -> dict[str, str]:
        if key is None:
            return headers
        # An Entra ID token is a JSON Web Token. A resource's key never looks like one.
        if key.startswith("eyJ") and key.count(".") == 2:
            return {**headers, "authorization": f"Bearer {key}"}
        return {**headers, "api-key": key}

    def models_url(self, base_url: str) -> str:
        return f"{base_url}/models{self._query}"

    def read_models(self, body: bytes) -> ModelPage:
        page = super().read_models(body)
        return ModelPage(
            [
                model
                for model in page.models
                if model.get("capabilities", {}).get("chat_completion", True)
            ]
        )


def open_azure(row: ProviderSettings, environment: Mapping[str, str]) -> AzureWire:
    """The wire for a provider. Raises `SettingsError` if its address has an unknown form."""
    address = urlsplit(row.base_url or "")
    if (address.hostname or "").endswith(".azure.com"):
        path = "/openai/v1" if row.api_version is None else "/openai"
        if address.path.rstrip("/") not in (path, "/openai/v1"):
            form = "without an api_version" if row.api_version is None else "with an api_version"
            raise SettingsError(
                f"{form}, the base_url of azure must end in {path}, such as "
                f"https://RESOURCE.openai.azure.com{path}"
            )
    return AzureWire(api_version=row.api_version)
