"""Finds the targets that a model's name stands for."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from briggs.gateway.cooling import Cooling
from briggs.gateway.order import Choice, Route
from briggs.gateway.timeouts import Policy, find_longest, open_policy
from briggs.providers.base import Provider, Target
from briggs.settings import FileSettings, TargetSettings, is_name, read_target
from briggs.types.errors import BriggsError, ModelNotFound, ProviderNotFound

_DIRECT_MAX = 1_000
_DIRECT_CHARACTERS_MAX = 200


class Routes(msgspec.Struct):
    """Every provider, every name that the file defines, and the provider for bare names."""

    providers: Mapping[str, Provider]
    models: Mapping[str, Route]
    default_provider: str | None
    policy: Policy
    """For models that are requested as `provider/model` or by a bare name."""
    cooling: Cooling
    twins: Collection[str] = ()
    """Providers whose models another provider already lists."""
    calls: int = 0
    """How many calls use these routes now. Add your call, and `leave` when it has ended."""
    emptied: asyncio.Event | None = None
    direct: dict[str, Route] = {}
    """Routes to models that the file does not name, by what callers wrote, up to a limit."""

    def leave(self) -> None:
        """Note that one call has ended."""
        self.calls -= 1
        if self.emptied is not None and not self.calls:
            self.emptied.set()

    async def wait_until_left(self) -> None:
        """Return when the last call that uses these routes has ended."""
        self.emptied = asyncio.Event()
        if self.calls:
            await self.emptied.wait()


def open_routes(
    providers: Mapping[str, Provider],
    *,
    file: FileSettings,
    default_provider: str | None,
    twins: Collection[str] = (),
) -> Routes:
    """Connect names to providers. The file was checked, so every target exists."""
    cooling = Cooling(file.cool_down)
    waits = find_longest(file)

    def open_route(name: str) -> Route:
        model = file.models[name]
        return Route(
            choices=[open_choice(read_target(listed)) for listed in model.targets],
            policy=open_policy(file, model, waits=waits),
            cooling=cooling,
            strategy=model.strategy,
            sticky=model.sticky,
        )

    def open_choice(listed: TargetSettings) -> Choice:
        if is_name(listed.target, providers=providers):
            return Choice(listed.target, open_route(listed.target), listed.weight)
        name, _, model = listed.target.partition("/")
        return Choice(listed.target, Target(providers[name], model), listed.weight)

    return Routes(
        providers=providers,
        models={name: open_route(name) for name in file.models},
        default_provider=default_provider,
        policy=open_policy(file, None, waits=waits),
        cooling=cooling,
        twins=twins,
    )


def resolve(model: str, *, routes: Routes) -> Route:
    """Find the route for a model's name. Raises `ModelNotFound`, `ProviderNotFound`."""
    route = routes.models.get(model) or routes.direct.get(model)
    if route is None:
        route = _find(model, routes)
        if len(routes.direct) < _DIRECT_MAX and len(model) < _DIRECT_CHARACTERS_MAX:
            routes.direct[model] = route
    return route


def _find(model: str, routes: Routes) -> Route:
    name, slash, rest = model.partition("/")
    if slash and rest and name in routes.providers:
        return _lead_to(Target(routes.providers[name], rest), routes)
    if slash:
        raise ProviderNotFound(
            f"There is no provider '{name}' for the model '{model}'. "
            + _suggest(name, routes.providers, "The providers are"),
            param="model",
        )
    if routes.default_provider is not None:
        return _lead_to(Target(routes.providers[routes.default_provider], model), routes)
    raise ModelNotFound(
        f"There is no model '{model}'. "
        + _suggest(model, [*routes.models, "local/briggs-tiny"], "The models are")
        + " Write provider/model, or a name that briggs.toml defines. "
        "To use bare names, set default_provider in briggs.toml.",
        param="model",
    )


def _lead_to(target: Target, routes: Routes) -> Route:
    return Route([Choice("", target)], routes.policy, routes.cooling)


async def list_models(*, routes: Routes) -> list[dict[str, Any]]:
    """The file's names, then each configured provider's models as `provider/model`."""
    ready = [
        provider
        for name, provider in routes.providers.items()
        if provider.is_configured and name not in routes.twins
    ]
    listed = await asyncio.gather(*(_list_models(provider) for provider in ready))
    own = [_describe_name(name) for name in routes.models]
    return own + [model for models in listed for model in models]


async def retrieve_model(id: str, *, routes: Routes) -> dict[str, Any]:
    """One of the listed models. Raises `ModelNotFound`, `ProviderNotFound`."""
    if id in routes.models:
        return _describe_name(id)
    [choice] = resolve(id, routes=routes).choices
    assert isinstance(choice.to, Target), "a model that the file does not name has one target"
    provider = choice.to.provider
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
