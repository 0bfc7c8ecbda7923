"""Finds the targets that a model's name stands for."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from briggs.gateway.cooling import Cooling
from briggs.gateway.order import Share, Targets
from briggs.gateway.timeouts import Policy, find_longest, open_policy
from briggs.providers.base import Provider, Target
from briggs.settings import FileSettings, TargetSettings, is_name, read_target
from briggs.types.envelope import MODEL_CHARACTERS_MAX
from briggs.types.errors import BriggsError, ModelNotFound, ProviderNotFound

_DIRECT_MAX = 1_000
_DIRECT_CHARACTERS_MAX = 200


class Models(msgspec.Struct):
    """Every provider, every name that the file defines, and the provider for bare names."""

    providers: Mapping[str, Provider]
    named: Mapping[str, Targets]
    default_provider: str | None
    policy: Policy
    """For models that are requested as `provider/model` or by a bare name."""
    cooling: Cooling
    twins: Collection[str] = ()
    """Providers whose models another provider already lists."""
    calls: int = 0
    """How many calls use these models now. Add your call, and `leave` when it has ended."""
    emptied: asyncio.Event | None = None
    direct: dict[str, Targets] = {}
    """The targets of models that the file does not name, by what callers wrote, up to a limit."""

    def leave(self) -> None:
        """Note that one call has ended."""
        self.calls -= 1
        if self.emptied is not None and not self.calls:
            self.emptied.set()

    async def wait_until_left(self) -> None:
        """Return when the last call that uses these models has ended."""
        self.emptied = asyncio.Event()
        if self.calls:
            await self.emptied.wait()


def open_models(
    providers: Mapping[str, Provider],
    *,
    file: FileSettings,
    default_provider: str | None,
    twins: Collection[str] = (),
) -> Models:
    """Connect names to providers. The file was checked, so every target exists."""
    cooling = Cooling(file.cool_down)
    waits = find_longest(file)

    def open_targets(name: str) -> Targets:
        model = file.models[name]
        return Targets(
            shares=[open_share(read_target(listed)) for listed in model.targets],
            policy=open_policy(file, model, waits=waits),
            cooling=cooling,
            strategy=model.strategy,
            sticky=model.sticky,
        )

    def open_share(listed: TargetSettings) -> Share:
        if is_name(listed.target, providers=providers):
            return Share(listed.target, open_targets(listed.target), listed.weight)
        name, _, model = listed.target.partition("/")
        return Share(listed.target, Target(providers[name], model), listed.weight)

    return Models(
        providers=providers,
        named={name: open_targets(name) for name in file.models},
        default_provider=default_provider,
        policy=open_policy(file, None, waits=waits),
        cooling=cooling,
        twins=twins,
    )


def resolve(model: str, *, models: Models) -> Targets:
    """Find the targets of a model. Raises `ModelNotFound`, `ProviderNotFound`."""
    targets = models.named.get(model) or models.direct.get(model)
    if targets is None:
        targets = _find(model, models)
        if len(models.direct) < _DIRECT_MAX and len(model) < _DIRECT_CHARACTERS_MAX:
            models.direct[model] = targets
    return targets


def _find(model: str, models: Models) -> Targets:
    name, slash, rest = model.partition("/")
    if slash and rest and name in models.providers:
        return _lead_to(Target(models.providers[name], rest), models)
    if slash:
        raise ProviderNotFound(
            f"There is no provider '{name}' for the model '{model}'. "
            + _suggest(name, models.providers, "The providers are"),
            param="model",
        )
    if models.default_provider is not None:
        return _lead_to(Target(models.providers[models.default_provider], model), models)
    raise ModelNotFound(
        f"There is no model '{model}'. "
        + _suggest(model, [*models.named, "local/briggs-tiny"], "The models are")
        + " Write provider/model, or a name that briggs.toml defines. "
        "To use bare names, set default_provider in briggs.toml.",
        param="model",
    )


def _lead_to(target: Target, models: Models) -> Targets:
    return Targets([Share("", target)], models.policy, models.cooling)


def is_ready(model: str, *, models: Models) -> bool:
    """Whether a model's name leads to a provider that can be asked.

    A bare name does not if it leads to the built-in model alone: it is most likely another's.
    """
    is_bare = "/" not in model and model not in models.named
    if is_bare and models.default_provider in (None, "local"):
        return False
    try:
        targets = resolve(model, models=models)
    except (ModelNotFound, ProviderNotFound):
        return False
    return bool(model) and _lead_somewhere(targets)


def _lead_somewhere(targets: Targets) -> bool:
    return any(
        share.to.provider.is_configured
        if isinstance(share.to, Target)
        else _lead_somewhere(share.to)
        for share in targets.shares
    )


async def list_models(*, models: Models) -> list[dict[str, Any]]:
    """The file's names, then each configured provider's models as `provider/model`."""
    ready = [
        provider
        for name, provider in models.providers.items()
        if provider.is_configured and name not in models.twins
    ]
    listed = await asyncio.gather(*(_list_models(provider) for provider in ready))
    own = [_describe_name(name) for name in models.named]
    return own + [model for models in listed for model in models]


async def retrieve_model(id: str, *, models: Models) -> dict[str, Any]:
    """One of the listed models. Raises `ModelNotFound`, `ProviderNotFound`."""
    if id in models.named:
        return _describe_name(id)
    if len(id) > MODEL_CHARACTERS_MAX:
        # To look for names that are like it would take seconds.
        raise ModelNotFound(
            f"A model's name has at most {MODEL_CHARACTERS_MAX} characters.", param="model"
        )
    [share] = resolve(id, models=models).shares
    assert isinstance(share.to, Target), "a model that the file does not name has one target"
    provider = share.to.provider
    listed = await _list_models(provider)
    for model in listed:
        if model["id"] in (id, f"{provider.name}/{id}"):
            return model
    raise ModelNotFound(
        f"{provider.name} lists no model '{id}'. "
        + _suggest(id, [model["id"] for model in listed], "It lists"),
        param="model",
    )


def _describe_name(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "briggs"}


async def _list_models(provider: Provider) -> list[dict[str, Any]]:
    try:
        models = await asyncio.wait_for(provider.list_models(), timeout=5)
    except (BriggsError, TimeoutError):
        # A provider that is down lists no models. A call to one of its models explains why.
        return []
    return [
        {
            **model,
            "id": f"{provider.name}/{model['id']}",
            "object": "model",
            "created": model["created"] if isinstance(model.get("created"), int) else 0,
            "owned_by": str(model.get("owned_by") or provider.name),
        }
        for model in models
    ]


def _suggest(name: str, known: Iterable[str], introduction: str) -> str:
    known = list(known)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if close:
        return f"Did you mean {' or '.join(repr(one) for one in close)}?"
    return f"{introduction} {', '.join(known)}."
