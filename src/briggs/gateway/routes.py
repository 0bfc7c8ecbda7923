"""Whom a model's name means."""

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
    """Every provider, the names that the file gives, and who answers a bare name."""

    providers: Mapping[str, Provider]
    models: Mapping[str, Route]
    default_provider: str | None
    policy: Policy
    """For what is asked as `provider/model`, or by a bare name."""
    cooling: Cooling
    twins: Collection[str] = ()
    """The providers whose models another one lists."""
    calls: int = 0
    """How many go by these routes now: count yours, and `leave` when it has ended."""
    emptied: asyncio.Event | None = None
    direct: dict[str, Route] = {}
    """Those of the models that were asked for without a name of the file, up to a number."""

    def leave(self) -> None:
        """One call fewer."""
        self.calls -= 1
        if self.emptied is not None and not self.calls:
            self.emptied.set()

    async def wait_until_left(self) -> None:
        """Return when the last call has gone that goes by these routes."""
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
    """Join names to providers. Every name is there and leads somewhere: the file was checked."""
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
    """Whom a model's name means. Raises `ModelNotFound`, `ProviderNotFound`."""
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
        + _suggest(model, [*routes.models, "local/briggs-tiny"], "There are")
        + " A model is named as provider/model, or by a name of briggs.toml; "
        "a bare name needs default_provider there.",
        param="model",
    )


def _lead_to(target: Target, routes: Routes) -> Route:
    return Route([Choice("", target)], routes.policy, routes.cooling)


async def list_models(*, routes: Routes) -> list[dict[str, Any]]:
    """The file's names and what every provider that can be asked lists, as `provider/model`."""
    ready = [
        provider
        for name, provider in routes.providers.items()
        if provider.is_configured and name not in routes.twins
    ]
    listed = await asyncio.gather(*(_list_models(provider) for provider in ready))
    own = [_describe_name(name) for name in routes.models]
    return own + [model for models in listed for model in models]


async def retrieve_model(id: str, *, routes: Routes) -> dict[str, Any]:
    """One of them. Raises `ModelNotFound`, `ProviderNotFound`."""
    if id in routes.models:
        return _describe_name(id)
    [choice] = resolve(id, routes=routes).choices
    assert isinstance(choice.to, Target), "what is no name of the file is one target"
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
        # A provider that is away has no models now; asking it for one says why.
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
