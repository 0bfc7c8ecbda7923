"""LiteLLM's `config.yaml` as a `briggs.toml`, with notes on what cannot be expressed.

https://docs.litellm.ai/docs/proxy/config_settings and
https://docs.litellm.ai/docs/router/api_reference/configuration (2026-11-29)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from briggs.types import json
from briggs.types.any_json import list_objects, members, number, text

ITEMS_MAX = 1_000
"""How many deployments a file may have."""
_NAME_LENGTH_MAX = 200

KINDS = {
    "anthropic": "anthropic",
    "azure": "azure",
    "azure_ai": "azure",
    "baseten": "baseten",
    "bedrock": "bedrock",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "cohere_chat": "cohere",
    "dashscope": "dashscope",
    "deepinfra": "deepinfra",
    "deepseek": "deepseek",
    "fireworks_ai": "fireworks",
    "gemini": "gemini",
    "groq": "groq",
    "hosted_vllm": "vllm",
    "huggingface": "huggingface",
    "hyperbolic": "hyperbolic",
    "lm_studio": "lmstudio",
    "mistral": "mistral",
    "moonshot": "moonshot",
    "nebius": "nebius",
    "novita": "novita",
    "nvidia_nim": "nvidia",
    "ollama": "ollama",
    "ollama_chat": "ollama",
    "openai": "openai",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "sambanova": "sambanova",
    "together_ai": "together",
    "vllm": "vllm",
    "xai": "xai",
}
"""LiteLLM's prefixes of models, and the rows of our catalog."""

_BARE = (("claude", "anthropic"), ("gemini", "gemini"), ("command", "cohere"))
"""What the name of a model without a prefix begins with. All others are OpenAI's."""

_VARIABLE = "os.environ/"
_EXPRESSED = {
    *("model", "api_key", "api_base", "base_url", "api_version", "weight", "timeout"),
    *("stream_timeout", "aws_region_name", "custom_llm_provider", "max_retries"),
    *("input_cost_per_token", "output_cost_per_token"),
}
_ROUTED = {
    *("num_retries", "timeout", "request_timeout", "stream_timeout", "allowed_fails"),
    *("cooldown_time", "fallbacks", "default_fallbacks", "context_window_fallbacks"),
    *("content_policy_fallbacks", "model_group_alias", "drop_params", "routing_strategy"),
}
# The bounds of our own settings.
_SECONDS_MAX = 604_800
_WEIGHT_MAX = 1e9
_DOLLARS_MAX = 1_000_000
_SILENT = {"set_verbose", "json_logs", "telemetry", "debug", "cache_responses", "drop_params"}


class Converted(NamedTuple):
    """A `briggs.toml`, and what it does not say that the other file said."""

    toml: str
    notes: list[str]


class NamedProvider(msgspec.Struct, frozen=True):
    """A provider, as deployments name it."""

    kind: str
    base_url: str | None = None
    key_variable: str | None = None
    api_version: str | None = None
    region: str | None = None


def convert(config: Mapping[str, Any], *, environment: Mapping[str, str]) -> Converted:
    """Convert a whole file. Raises `ValueError` for one that is not LiteLLM's."""
    if not isinstance(config.get("model_list"), list):
        raise ValueError("the file has no model_list, so it is not a configuration of LiteLLM")
    reading = _Reading(environment)
    settings = {
        **members(config.get("litellm_settings")),
        **members(config.get("router_settings")),
    }
    for item in list_objects(config["model_list"])[:ITEMS_MAX]:
        reading.read_deployment(item)
    if len(config["model_list"]) > ITEMS_MAX:
        reading.note(f"model_list: only the first {ITEMS_MAX:,} deployments are converted")
    reading.read_routing(settings)
    reading.note_rest(config, settings)
    lines = [
        *_write_head(reading.notes),
        *_write_settings(settings),
        *reading.write_providers(drop=settings.get("drop_params") is True),
        *reading.write_models(),
        *reading.write_prices(),
    ]
    return Converted("\n".join(lines) + "\n", reading.notes)


class _Deployment(NamedTuple):
    target: str
    weight: float | None


class _Reading:
    """What was read of a file so far."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._providers: dict[NamedProvider, str] = {}
        self._deployments: dict[str, list[_Deployment]] = {}
        self._timeouts: dict[str, dict[str, float]] = {}
        self._prices: dict[str, dict[str, float]] = {}
        self._fallbacks: dict[str, list[str]] = {}
        self._fallback_on: dict[str, list[str]] = {}
        self._aliases: dict[str, str] = {}
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        """Note something that is not expressed, once."""
        if text not in self.notes:
            self.notes.append(text)

    def read_deployment(self, item: Mapping[str, Any]) -> None:
        given = members(item.get("litellm_params"))
        name, model = text(item.get("model_name")), text(given.get("model"))
        if not name or not model or max(len(name), len(model)) > _NAME_LENGTH_MAX:
            self.note("a deployment has no model_name or no litellm_params.model, and is left out")
            return
        prefix, _, rest = model.partition("/")
        kind = KINDS.get(text(given.get("custom_llm_provider")) or prefix)
        if kind is None and rest and prefix not in KINDS and not given.get("api_base"):
            self.note(
                f"{name}: Briggs has no provider '{prefix}', so the deployment is left out. If it "
                "speaks OpenAI's API, write a provider with its base_url"
            )
            return
        if kind is None:
            kind = next((each for start, each in _BARE if model.startswith(start)), "openai")
            rest = model
        provider = self._name_provider(name, kind, given)
        if name.endswith("*") or rest.endswith("*"):
            self.note(
                f"{name}: Briggs has no patterns of names. Callers ask for '{provider}/MODEL' with "
                "any model of this provider"
            )
            return
        target = f"{provider}/{rest}"
        weight = next(
            (
                each
                for key in ("weight", "rpm", "tpm")
                if (each := number(given.get(key))) and 0 < each <= _WEIGHT_MAX
            ),
            None,
        )
        self._deployments.setdefault(name, []).append(_Deployment(target, weight))
        self._read_limits(name, target, given, members(item.get("model_info")))

    def _name_provider(self, name: str, kind: str, given: Mapping[str, Any]) -> str:
        provider = NamedProvider(
            kind,
            base_url=self._read_value(name, given, "api_base", "base_url"),
            key_variable=self._read_key(name, kind, given),
            api_version=self._read_value(name, given, "api_version"),
            region=self._read_value(name, given, "aws_region_name"),
        )
        if kind == "azure" and provider.base_url:
            # The deployments of a version are below /openai, and the others below /openai/v1.
            root = re.sub(r"/openai(/v1)?$", "", provider.base_url.rstrip("/"))
            end = "/openai" if provider.api_version else "/openai/v1"
            provider = msgspec.structs.replace(provider, base_url=f"{root}{end}")
        if provider not in self._providers:
            taken = [each for each in self._providers if each.kind == kind]
            known = kind.replace(".", "-")
            self._providers[provider] = f"{known}-{len(taken) + 1}" if taken else known
        return self._providers[provider]

    def _read_key(self, name: str, kind: str, given: Mapping[str, Any]) -> str | None:
        key = text(given.get("api_key"))
        if key is None:
            return None
        if key.startswith(_VARIABLE):
            return key.removeprefix(_VARIABLE)
        variable = f"{re.sub('[^A-Z0-9]', '_', name.upper())}_API_KEY"
        if given.get("api_base") and len(key) < 12:
            # What LiteLLM's examples send to servers that need no key.
            return None
        self.note(
            f"{name}: the key is written in the file. Briggs reads keys from the environment: put "
            f"it into {variable}"
        )
        return variable

    def _read_value(self, name: str, given: Mapping[str, Any], *keys: str) -> str | None:
        key = next((each for each in keys if text(given.get(each))), None)
        if key is None:
            return None
        value = str(given[key])
        if not value.startswith(_VARIABLE):
            return value
        variable = value.removeprefix(_VARIABLE)
        if found := self._environment.get(variable):
            return found
        self.note(
            f"{name}: {key} is in the variable {variable}, which is not set here. Write its value "
            "into the file"
        )
        return "https://fill-in.invalid/v1" if key in ("api_base", "base_url") else None

    def _read_limits(
        self, name: str, target: str, given: Mapping[str, Any], about: Mapping[str, Any]
    ) -> None:
        timeouts = self._timeouts.setdefault(name, {})
        for key, ours in (
            ("timeout", "upstream_timeout_s"),
            ("stream_timeout", "first_token_timeout_s"),
        ):
            if seconds := _read_seconds(given, key):
                timeouts[ours] = max(timeouts.get(ours, 0), seconds)
        costs = {**about, **given}
        paid = [number(costs.get(f"{each}_cost_per_token")) for each in ("input", "output")]
        if all(cost is not None and 0 <= cost * 1e6 < _DOLLARS_MAX for cost in paid):
            self._prices[target] = {
                each: round((cost or 0) * 1e6, 6)
                for each, cost in zip(("input", "output"), paid, strict=True)
            }
        for key in sorted(given.keys() - _EXPRESSED, key=str):
            self.note(f"{name}: litellm_params.{str(key)[:60]} is not expressed")

    def read_routing(self, settings: Mapping[str, Any]) -> None:
        for key, reason in (
            ("fallbacks", None),
            ("context_window_fallbacks", "context_length"),
            ("content_policy_fallbacks", "content_filter"),
        ):
            for each in list_objects(settings.get(key)):
                for name, others in each.items():
                    self._add_fallbacks(str(name), _list_texts(others), reason)
        for name in list(self._deployments):
            self._add_fallbacks(name, _list_texts(settings.get("default_fallbacks")), None)
        for alias, group in members(settings.get("model_group_alias")).items():
            group = members(group).get("model") if isinstance(group, dict) else group
            if group in self._deployments:
                self._aliases[str(alias)] = str(group)
        strategy = text(settings.get("routing_strategy"))
        if strategy not in (None, "simple-shuffle"):
            self.note(
                f"router_settings.routing_strategy '{strategy}' is not there: several deployments "
                "of a name are chosen by weight"
            )

    def _add_fallbacks(self, name: str, others: Sequence[str], reason: str | None) -> None:
        names = list(self._deployments) if name == "*" else [name]
        for each in names:
            known = [other for other in others if other in self._deployments and other != each]
            if each not in self._deployments or not known:
                if others:
                    self.note(
                        f"fallbacks of '{each[:60]}': not all of these names are in model_list"
                    )
                continue
            listed = self._fallbacks.setdefault(each, [])
            listed += [other for other in known if other not in listed]
            if reason and reason not in self._fallback_on.setdefault(each, []):
                self._fallback_on[each].append(reason)

    def note_rest(self, config: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        for key in sorted(settings.keys() - _ROUTED - _SILENT, key=str):
            self.note(f"the setting {str(key)[:60]} is not expressed")
        general = members(config.get("general_settings"))
        if "master_key" in general:
            self.note(
                "general_settings.master_key: Briggs makes its own keys. `briggs keys create` "
                "makes one for each caller"
            )
        for key in sorted(general.keys() - {"master_key"}, key=str):
            self.note(f"general_settings.{str(key)[:60]} is not expressed")
        known = {"model_list", "litellm_settings", "router_settings", "general_settings"}
        for key in sorted(config.keys() - known, key=str):
            self.note(f"{str(key)[:60]} is not expressed")

    def write_providers(self, *, drop: bool) -> Iterator[str]:
        for provider, name in self._providers.items():
            yield ""
            yield f"[providers.{_key(name)}]"
            if provider.kind != "openai":
                yield f"kind = {_quote(provider.kind)}"
            for member in ("base_url", "key_variable", "api_version", "region"):
                if value := getattr(provider, member):
                    yield f"{member} = {_quote(value)}"
            if drop:
                yield "drop_unsupported = true"

    def write_models(self) -> Iterator[str]:
        for name, deployments in self._deployments.items():
            fallbacks = self._fallbacks.get(name, [])
            lines = [f"{key} = {value:g}" for key, value in self._timeouts[name].items()]
            if reasons := self._fallback_on.get(name):
                lines.append(f"fallback_on = {_quote_all(reasons)}")
            if len(deployments) > 1 and fallbacks:
                # A target that is a name keeps its own strategy.
                group = f"{name}-deployments"
                yield from _write_group(group, deployments, ())
                yield from _write_model(name, [_quote(group), *map(_quote, fallbacks)], lines)
            elif len(deployments) > 1:
                yield from _write_group(name, deployments, lines)
            else:
                targets = [deployments[0].target, *fallbacks]
                yield from _write_model(name, list(map(_quote, targets)), lines)
        for alias, group in self._aliases.items():
            yield from _write_model(alias, [_quote(group)], [])

    def write_prices(self) -> Iterator[str]:
        for target, price in self._prices.items():
            yield ""
            yield f"[prices.{_quote(target)}]"
            yield from (f"{name} = {value}" for name, value in price.items())


def _write_head(notes: Sequence[str]) -> Iterator[str]:
    yield "# Written by `briggs config import` from a configuration of LiteLLM."
    if notes:
        yield "#"
        yield "# Not expressed:"
        yield from (f"# - {_one_line(note)}" for note in notes)


def _write_settings(settings: Mapping[str, Any]) -> Iterator[str]:
    yield from _write_table("retries", {"attempts_max": _count(settings, "num_retries", 100)})
    cool_down = {
        "failures": _count(settings, "allowed_fails", 1_000_000_000),
        "duration_s": _read_seconds(settings, "cooldown_time"),
    }
    yield from _write_table("cool_down", cool_down)
    limits = {
        "upstream_timeout_s": _read_seconds(settings, "timeout")
        or _read_seconds(settings, "request_timeout"),
        "first_token_timeout_s": _read_seconds(settings, "stream_timeout"),
    }
    yield from _write_table("limits", limits)


def _count(settings: Mapping[str, Any], name: str, maximum: int) -> int | None:
    """One more than the number of this name, at most the maximum. None if there is none."""
    given = number(settings.get(name))
    return None if given is None else min(max(int(given), 0) + 1, maximum)


def _read_seconds(settings: Mapping[str, Any], name: str) -> float | None:
    """A time of this name, at most the longest that a setting may have. None if there is none."""
    given = number(settings.get(name))
    return min(given, _SECONDS_MAX) if given and given > 0 else None


def _write_table(name: str, values: Mapping[str, float | None]) -> Iterator[str]:
    known = {key: value for key, value in values.items() if value}
    if known:
        yield from ("", f"[{name}]")
        yield from (f"{key} = {value:g}" for key, value in known.items())


def _write_group(
    name: str, deployments: Sequence[_Deployment], lines: Sequence[str]
) -> Iterator[str]:
    are_weighed = all(each.weight for each in deployments)
    targets = [
        f"{{ target = {_quote(each.target)}, weight = {each.weight:g} }}"
        if are_weighed
        else _quote(each.target)
        for each in deployments
    ]
    yield from _write_model(name, targets, ['strategy = "weight"', *lines])


def _write_model(name: str, targets: Sequence[str], lines: Sequence[str]) -> Iterator[str]:
    yield ""
    yield f"[models.{_key(name)}]"
    yield f"targets = [{', '.join(targets)}]"
    yield from lines


def _list_texts(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _quote(name)


def _quote(value: str) -> str:
    """A text of TOML. Its basic strings have the escapes of JSON, and not `\\/`."""
    return json.lay_out(value.encode("utf-8", "replace").decode(), indent=None).replace(
        "\x7f", "\\u007f"
    )


def _quote_all(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_quote, values))}]"


def _one_line(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text)
