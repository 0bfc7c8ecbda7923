"""Whom a model's name means."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from briggs.providers.base import Provider, Target
from briggs.types.errors import BriggsError, ModelNotFound, ProviderNotFound


class Routes(msgspec.Struct, frozen=True):
    """Every provider, the names that the file gives, and who answers a bare name."""

    providers: Mapping[str, Provider]
    models: Mapping[str, list[Target]] = {}
    default_provider: str | None = None


def open_routes(
    providers: Mapping[str, Provider],
    *,
    models: Mapping[str, list[str]],
    default_provider: str | None,
) -> Routes:
    """Join names to providers. Every target's provider is there, since the file was checked."""
    targets = {
        name: [_open_target(target, providers=providers) for target in listed]
        for name, listed in models.items()
    }
    return Routes(providers, targets, default_provider)


def resolve(model: str, *, routes: Routes) -> list[Target]:
    """The targets of a model's name. Raises `ModelNotFound`, `ProviderNotFound`."""
    if model in routes.models:
        return routes.models[model]
    name, slash, rest = model.partition("/")
    if slash and rest and name in routes.providers:
        return [Target(routes.providers[name], rest)]
    if slash:
        raise ProviderNotFound(
            f"There is no provider '{name}' for the model '{model}'. "
            + _suggest(name, routes.providers, "The providers are"),
            param="model",
        )
    if routes.default_provider is not None:
        return [Target(routes.providers[routes.default_provider], model)]
    raise ModelNotFound(
        f"There is no model '{model}'. "
        + _suggest(model, [*routes.models, "local/briggs-tiny"], "There are")
        + " A model is named as provider/model, or by a name of briggs.toml; "
        "a bare name needs default_provider there.",
        param="model",
    )


async def list_models(*, routes: Routes) -> list[dict[str, Any]]:
    """The file's names and what every provider that can be asked lists, as `provider/model`."""
    ready = [provider for provider in routes.providers.values() if provider.is_configured]
    listed = await asyncio.gather(*(_list_models(provider) for provider in ready))
    own = [_describe_name(name) for name in routes.models]
    return own + [model for models in listed for model in models]


async def retrieve_model(id: str, *, routes: Routes) -> dict[str, Any]:
    """One of them. Raises `ModelNotFound`, `ProviderNotFound`."""
    if id in routes.models:
        return _describe_name(id)
    provider = resolve(id, routes=routes)[0].provider
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


def _open_target(target: str, *, providers: Mapping[str, Provider]) -> Target:
    name, _, model = target.partition("/")
    return Target(providers[name], model)


def _suggest(name: str, known: Iterable[str], introduction: str) -> str:
    known = list(known)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if close:
        return f"Did you mean {' or '.join(repr(one) for one in close)}?"
    return f"{introduction} {', '.join(known)}."
