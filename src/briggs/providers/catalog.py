"""Lists the vendors, one row each, and opens the providers that the settings name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from briggs.providers.base import Provider
from briggs.providers.http import HttpProvider
from briggs.providers.local_models import check_local, check_local_targets
from briggs.providers.signing import find_region, open_bedrock
from briggs.settings import (
    FileSettings,
    Problem,
    ProviderSettings,
    Settings,
    SettingsError,
    suggest,
)
from briggs.transport import Transport
from briggs.types.keys import PREFIX
from briggs.wires.anthropic import tokens as anthropic
from briggs.wires.anthropic.wire import AnthropicWire
from briggs.wires.base import CHAT, Ability, Wire
from briggs.wires.bedrock import messages as bedrock
from briggs.wires.cohere import embeddings as cohere
from briggs.wires.cohere.wire import CohereWire
from briggs.wires.gemini import embeddings as gemini
from briggs.wires.gemini.wire import GeminiWire
from briggs.wires.mistral import abilities as mistral
from briggs.wires.mistral.wire import MistralWire
from briggs.wires.ollama import embeddings as ollama
from briggs.wires.ollama.wire import OllamaWire
from briggs.wires.openai.abilities import open_abilities
from briggs.wires.openai.azure import open_azure
from briggs.wires.openai.responses.ability import ResponsesAbility
from briggs.wires.openai.wire import OpenAIWire

OpenWire = Callable[[ProviderSettings, Mapping[str, str]], Wire]
"""Creates a wire from a provider's settings and the environment."""


class Vendor(NamedTuple):
    """One row: a vendor's address, its key, and its wire."""

    name: str
    base_url: str | None
    """Up to and including the version; None if each user has their own (Azure's resource)."""
    key_variable: str | None = None
    """The environment variable with the key; None for a local server, which needs no key."""
    key_alias: str | None = None
    """The variable of the vendor's SDK, which is read if `key_variable` is not set."""
    signs: bool = False
    """Whether its wire signs requests if there is no key."""
    wire: Wire | OpenWire = OpenAIWire()
    """The wire, or a function that creates it from the settings."""
    twin: str | None = None
    """Another row for the same server. That row lists the models."""
    abilities: Callable[[Any], Sequence[Ability]] | None = None
    """What the vendor does beside chat completions, below the address of its wire. Default: what
    OpenAI does, if it speaks OpenAI's API."""
    texts: bool = True
    """Whether it has text completions, if it speaks OpenAI's API. Otherwise a chat answers them."""
    responses: bool = False
    """Whether it speaks OpenAI's Responses API at its own address."""

    def open_wire(self, row: ProviderSettings, *, environment: Mapping[str, str]) -> Wire:
        """The wire for a provider with these settings."""
        return self.wire(row, environment) if callable(self.wire) else self.wire

    def open_abilities(self, wire: Wire) -> Sequence[Ability]:
        """What the vendor does beside chat completions."""
        if self.abilities is not None:
            return self.abilities(wire)
        if not isinstance(wire, OpenAIWire) or wire.format != CHAT:
            return ()
        return open_abilities(wire, texts=self.texts)


# Some vendors do not accept `stream_options`. They always send the usage.
_WITHOUT_STREAM_OPTIONS = OpenAIWire(stream_options=False)

CATALOG: tuple[Vendor, ...] = (
    Vendor("openai", "https://api.openai.com/v1", "OPENAI_API_KEY", responses=True),
    Vendor("azure", None, "AZURE_OPENAI_API_KEY", wire=open_azure, responses=True),
    Vendor(
        "anthropic",
        "https://api.anthropic.com/v1",
        "ANTHROPIC_API_KEY",
        wire=AnthropicWire(),
        abilities=anthropic.open_abilities,
    ),
    Vendor(
        "bedrock",
        "https://bedrock-runtime.{region}.amazonaws.com",
        "AWS_BEARER_TOKEN_BEDROCK",
        signs=True,
        wire=open_bedrock,
        abilities=bedrock.open_abilities,
    ),
    Vendor(
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta",
        "GEMINI_API_KEY",
        wire=GeminiWire(),
        abilities=gemini.open_abilities,
    ),
    Vendor(
        "cohere",
        "https://api.cohere.com/v2",
        "COHERE_API_KEY",
        key_alias="CO_API_KEY",
        wire=CohereWire(),
        abilities=cohere.open_abilities,
    ),
    Vendor("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY", texts=False),
    Vendor("together", "https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    Vendor("deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", texts=False),
    Vendor("openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    Vendor("fireworks", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    Vendor(
        "perplexity",
        "https://api.perplexity.ai",
        "PERPLEXITY_API_KEY",
        wire=_WITHOUT_STREAM_OPTIONS,
        texts=False,
    ),
    Vendor("xai", "https://api.x.ai/v1", "XAI_API_KEY"),
    Vendor("cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    Vendor(
        "mistral",
        "https://api.mistral.ai/v1",
        "MISTRAL_API_KEY",
        wire=MistralWire(),
        abilities=mistral.open_abilities,
    ),
    Vendor("nvidia", "https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY"),
    Vendor("sambanova", "https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY", texts=False),
    Vendor("deepinfra", "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"),
    Vendor("moonshot", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY", texts=False),
    Vendor(
        "dashscope", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY"
    ),
    Vendor("huggingface", "https://router.huggingface.co/v1", "HF_TOKEN", texts=False),
    Vendor("nebius", "https://api.studio.nebius.com/v1", "NEBIUS_API_KEY"),
    Vendor("hyperbolic", "https://api.hyperbolic.xyz/v1", "HYPERBOLIC_API_KEY"),
    Vendor("novita", "https://api.novita.ai/v3/openai", "NOVITA_API_KEY"),
    Vendor("baseten", "https://inference.baseten.co/v1", "BASETEN_API_KEY"),
    Vendor("vllm", "http://127.0.0.1:8000/v1"),
    Vendor("sglang", "http://127.0.0.1:30000/v1"),
    Vendor("ollama", "http://127.0.0.1:11434/v1"),
    Vendor(
        "ollama-native",
        "http://127.0.0.1:11434/api",
        wire=OllamaWire(),
        twin="ollama",
        abilities=ollama.open_abilities,
    ),
    Vendor("llama.cpp", "http://127.0.0.1:8080/v1"),
    Vendor("lmstudio", "http://127.0.0.1:1234/v1"),
)
VENDORS = {vendor.name: vendor for vendor in CATALOG}
_KEY_VARIABLES = {name for vendor in CATALOG for name in (vendor.key_variable, vendor.key_alias)}
_HOSTS = {urlsplit(vendor.base_url).hostname for vendor in CATALOG if vendor.key_variable}


def open_providers(settings: Settings, *, transport: Transport) -> dict[str, Provider]:
    """Every provider in the file, by name. Without a file, the whole catalog.

    `check_providers` has already checked the file.
    """
    rows = settings.file.providers
    if settings.config is None:
        rows = _list_rows(settings.environment)
    return {
        name: _open_provider(name, row, environment=settings.environment, transport=transport)
        for name, row in rows.items()
    }


def _list_rows(environment: Mapping[str, str]) -> dict[str, ProviderSettings]:
    """All vendors of the catalog whose address is known."""
    rows = {name: ProviderSettings(kind=name) for name in VENDORS}
    return {name: row for name, row in rows.items() if _has_address(row, environment)}


def _has_address(row: ProviderSettings, environment: Mapping[str, str]) -> bool:
    try:
        _find_address(row, VENDORS[row.kind], environment)
    except SettingsError:
        return False
    return True


def find_only(settings: Settings) -> str | None:
    """The provider that answers bare names: the only one, or `local` if there is none.

    Without a file, only vendors with a key in the environment count. Servers on this machine
    need no key, so we do not know whether they are running.
    """
    if settings.config is None:
        names = [vendor.name for vendor in CATALOG if _has_key(vendor, settings.environment)]
    else:
        names = list(settings.file.providers)
    return "local" if not names else names[0] if len(names) == 1 else None


def list_twins(settings: Settings) -> list[str]:
    """Providers whose models another provider lists. Both exist only without a file."""
    return [] if settings.config else [vendor.name for vendor in CATALOG if vendor.twin]


def _has_key(vendor: Vendor, environment: Mapping[str, str]) -> bool:
    variable = _find_key_variable(ProviderSettings(), vendor, environment)
    has_address = _has_address(ProviderSettings(kind=vendor.name), environment)
    key = environment.get(variable) if variable else None
    return bool(has_address and key and not key.strip().startswith(PREFIX))


def check_providers(file: FileSettings, environment: Mapping[str, str]) -> Iterator[Problem]:
    """Problems with the providers of a file that no other check finds."""
    for name, row in file.providers.items():
        path = ("providers", name)
        vendor = VENDORS.get(row.kind)
        if vendor is None:
            message = f"{row.kind!r} is not in the catalog{suggest(row.kind, VENDORS)}"
            yield Problem((*path, "kind"), f"{message} (for a compatible server, write 'openai')")
            continue
        if row.kind == "openai" != name and name in VENDORS and row.base_url is None:
            yield Problem(path, f"without kind it is treated as OpenAI: write kind = {name!r}")
        try:
            _find_address(row, vendor, environment)
            vendor.open_wire(row, environment=environment)
        except SettingsError as error:
            yield Problem(path, str(error))
        variable = _find_key_variable(row, vendor, environment) or ""
        if variable.isidentifier() and not environment.get(variable) and not vendor.signs:
            message = f"the environment variable {variable} is not set, so this provider has no key"
            yield Problem((*path, "key_variable"), message, is_error=False)
        if refusal := _refuse_own_key(name, row, vendor, environment):
            yield Problem((*path, "key_variable"), refusal, is_error=False)
    yield from check_local(file.local)
    yield from check_local_targets(file)


def find_misplaced_keys(environment: Mapping[str, str]) -> Iterator[str]:
    """Problems with the vendors' keys in the environment, if there is no file."""
    for name, row in _list_rows(environment).items():
        if refusal := _refuse_own_key(name, row, VENDORS[name], environment):
            yield refusal


class Described(NamedTuple):
    """What is known of a provider without sending a request."""

    name: str
    kind: str
    base_url: str | None
    key_variable: str | None
    has_key: bool
    """Whether that variable is set to a key that may be sent to this provider."""


def describe_providers(file: FileSettings, environment: Mapping[str, str]) -> list[Described]:
    """Describe the providers of a file, even if the file has problems."""
    described = []
    for name, row in file.providers.items():
        vendor = VENDORS.get(row.kind, Vendor(row.kind, None))
        variable = _find_key_variable(row, vendor, environment)
        address = row.base_url or vendor.base_url
        is_refused = _refuse_own_key(name, row, vendor, environment) is not None
        has_key = bool(variable and environment.get(variable)) and not is_refused
        described.append(Described(name, row.kind, address, variable, has_key))
    return described


def _open_provider(
    name: str, row: ProviderSettings, *, environment: Mapping[str, str], transport: Transport
) -> Provider:
    vendor = VENDORS[row.kind]
    key_variable = _find_key_variable(row, vendor, environment)
    key = environment.get(key_variable) if key_variable else None
    refusal = _refuse_own_key(name, row, vendor, environment)
    wire = vendor.open_wire(row, environment=environment)
    return HttpProvider(
        name,
        wire=wire,
        abilities=[*vendor.open_abilities(wire), *_list_responses(name, row, vendor)],
        base_url=_find_address(row, vendor, environment).rstrip("/"),
        key_variable=None if vendor.signs and not key else key_variable,
        key=None if refusal else key,
        refusal=refusal,
        transport=transport,
        drop_unsupported=row.drop_unsupported,
    )


def _list_responses(name: str, row: ProviderSettings, vendor: Vendor) -> Iterator[Ability]:
    is_own_address = row.base_url is None or vendor.base_url is None
    has_responses = vendor.responses and is_own_address and row.api_version is None
    if has_responses if row.responses is None else row.responses:
        yield ResponsesAbility(name)


def _refuse_own_key(
    name: str, row: ProviderSettings, vendor: Vendor, environment: Mapping[str, str]
) -> str | None:
    """Why a provider's key is not sent: it is a Briggs key, but the provider is a vendor.

    This happens if Briggs starts in a shell whose variables are set for a client of Briggs. To
    use another Briggs as a provider, put its key in a variable that no vendor uses.
    """
    variable = _find_key_variable(row, vendor, environment)
    if variable is None or not environment.get(variable, "").strip().startswith(PREFIX):
        return None
    is_vendors = row.base_url is None or urlsplit(row.base_url).hostname in _HOSTS
    if not is_vendors and variable not in _KEY_VARIABLES:
        return None
    return (
        f"{variable} holds a key of Briggs ({PREFIX}...), so it is not sent to {name}. "
        f"Set {variable} to a key of {name} where you start Briggs, and start Briggs again"
    )


def _find_address(row: ProviderSettings, vendor: Vendor, environment: Mapping[str, str]) -> str:
    address = row.base_url or vendor.base_url
    if address is None:
        raise SettingsError(
            f"{row.kind} needs the base_url of your resource, "
            "such as https://RESOURCE.openai.azure.com/openai/v1"
        )
    if "{region}" in address:
        return address.replace("{region}", find_region(row, environment))
    return address


def _find_key_variable(
    row: ProviderSettings, vendor: Vendor, environment: Mapping[str, str]
) -> str | None:
    # A vendor's key goes only to the vendor's own address, unless the settings name the key.
    # Azure has no common address, so its key goes to the customer's.
    if row.key_variable or (row.base_url is not None and vendor.base_url is not None):
        return row.key_variable
    names = [name for name in (vendor.key_variable, vendor.key_alias) if name]
    return next((name for name in names if environment.get(name)), vendor.key_variable)
