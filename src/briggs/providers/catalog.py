"""The vendors: one row each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from briggs.providers.base import Provider, Wire
from briggs.providers.http import HttpProvider
from briggs.providers.openai import OpenAIWire
from briggs.settings import ProviderSettings, Settings, SettingsError
from briggs.transport import Transport


class Vendor(NamedTuple):
    """One row: where a vendor answers and what it wants to see."""

    name: str
    base_url: str | None
    """Up to and including the version; None where it is the user's own (Azure's resource)."""
    key_variable: str | None = None
    """None for servers of one's own, which want no key."""
    wire: Wire = OpenAIWire()
    """How it speaks."""


# Some know no `stream_options`: they send the usage unasked.
_WITHOUT_STREAM_OPTIONS = OpenAIWire(stream_options=False)

CATALOG: tuple[Vendor, ...] = (
    Vendor("openai", "https://api.openai.com/v1", "OPENAI_API_KEY"),
    Vendor("azure", None, "AZURE_OPENAI_API_KEY", wire=OpenAIWire(key_header="api-key")),
    Vendor("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    Vendor("together", "https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    Vendor("deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    Vendor("openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    Vendor("fireworks", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    Vendor(
        "perplexity",
        "https://api.perplexity.ai",
        "PERPLEXITY_API_KEY",
        wire=_WITHOUT_STREAM_OPTIONS,
    ),
    Vendor("xai", "https://api.x.ai/v1", "XAI_API_KEY"),
    Vendor("cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    Vendor("mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY", wire=_WITHOUT_STREAM_OPTIONS),
    Vendor("nvidia", "https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY"),
    Vendor("sambanova", "https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY"),
    Vendor("deepinfra", "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"),
    Vendor("moonshot", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
    Vendor(
        "dashscope", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY"
    ),
    Vendor("huggingface", "https://router.huggingface.co/v1", "HF_TOKEN"),
    Vendor("nebius", "https://api.studio.nebius.com/v1", "NEBIUS_API_KEY"),
    Vendor("hyperbolic", "https://api.hyperbolic.xyz/v1", "HYPERBOLIC_API_KEY"),
    Vendor("novita", "https://api.novita.ai/v3/openai", "NOVITA_API_KEY"),
    Vendor("baseten", "https://inference.baseten.co/v1", "BASETEN_API_KEY"),
    Vendor("vllm", "http://127.0.0.1:8000/v1"),
    Vendor("sglang", "http://127.0.0.1:30000/v1"),
    Vendor("ollama", "http://127.0.0.1:11434/v1"),
    Vendor("llama.cpp", "http://127.0.0.1:8080/v1"),
    Vendor("lmstudio", "http://127.0.0.1:1234/v1"),
)
VENDORS = {vendor.name: vendor for vendor in CATALOG}


def open_providers(settings: Settings, *, transport: Transport) -> dict[str, Provider]:
    """Every provider of the file by its name; without a file, the whole catalog.

    Raises `SettingsError` for a kind that the catalog does not know.
    """
    if settings.config is None:
        rows = {name: ProviderSettings(kind=name) for name in VENDORS if name != "azure"}
    else:
        rows = settings.file.providers
    return {
        name: _open_provider(name, row, environment=settings.environment, transport=transport)
        for name, row in rows.items()
    }


def find_only(settings: Settings) -> str | None:
    """The only provider there is, who then answers bare names; `local` if there is none.

    Without a file these are the vendors whose keys are in the environment: of the servers on
    this machine that want none we do not know whether they are there.
    """
    if settings.config is None:
        names = [vendor.name for vendor in CATALOG if _has_key(vendor, settings.environment)]
    else:
        names = list(settings.file.providers)
    return "local" if not names else names[0] if len(names) == 1 else None


def _has_key(vendor: Vendor, environment: Mapping[str, str]) -> bool:
    return bool(vendor.base_url and vendor.key_variable and environment.get(vendor.key_variable))


def _open_provider(
    name: str, row: ProviderSettings, *, environment: Mapping[str, str], transport: Transport
) -> Provider:
    vendor = VENDORS.get(row.kind)
    if vendor is None:
        raise SettingsError(
            f"providers.{name}.kind: {row.kind!r} is not in the catalog; "
            f"use 'openai' with a base_url, or one of {', '.join(VENDORS)}"
        )
    base_url = row.base_url or vendor.base_url
    if base_url is None:
        raise SettingsError(
            f"providers.{name}.base_url: {row.kind} needs the address of your resource, "
            "such as https://RESOURCE.openai.azure.com/openai/v1"
        )
    # A vendor's key never goes to an address that is not the vendor's, unless told so.
    key_variable = row.key_variable or (vendor.key_variable if row.base_url is None else None)
    return HttpProvider(
        name,
        wire=vendor.wire,
        base_url=base_url.rstrip("/"),
        key_variable=key_variable,
        key=environment.get(key_variable) if key_variable else None,
        transport=transport,
        drop_unsupported=row.drop_unsupported,
    )
