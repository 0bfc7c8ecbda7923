"""The first request to an endpoint: finds out whether it answers, its model, and its software."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from briggs.checker.endpoint import (
    CannotCheck,
    Endpoint,
    KeyRefused,
    ListedModel,
    ProbeExchange,
    ProbeRequest,
)
from briggs.checker.probes import TOKENS_MAX
from briggs.checker.recognition import recognise
from briggs.transport import TimedOut, TransportError, Unreachable
from briggs.types import json
from briggs.types.any_json import integer, members

_MODELS_SHOWN = 5


async def greet(endpoint: Endpoint, ask: ProbeRequest) -> None:
    """Send a plain request, choose the only model, and recognise the server.

    Raises `CannotCheck` if the request is not answered.
    """
    try:
        models = await endpoint.list_models() if endpoint.model is None else []
        if endpoint.model is None:
            endpoint.model = _choose_model(models)
        exchange = await endpoint.ask(ask)
        if not models:
            models = await _list_models(endpoint)
    except Unreachable as error:
        raise CannotCheck(f"nothing answers at {endpoint.base_url}: {error}") from error
    except TimedOut as error:
        raise CannotCheck(f"{endpoint.base_url} is too slow: {error}; see --timeout") from error
    except TransportError as error:
        raise CannotCheck(f"{endpoint.base_url} does not speak HTTP: {error}") from error
    refusal = describe_refusal(exchange)
    if exchange.status in (401, 403):
        raise KeyRefused(refusal)
    if exchange.status == 404:
        raise CannotCheck(f"{refusal}: {_suggest(models)}")
    if 300 <= exchange.status < 400:
        raise CannotCheck(f"{refusal}. Redirects are not followed: check the URL that it leads to")
    if not exchange.is_answered:
        raise CannotCheck(f"{refusal}. No other probe is sent until it answers a plain request")
    if exchange.is_too_large or _count_tokens(exchange) > TOKENS_MAX:
        # It ignores the newer name of the limit, so its answers might never end.
        endpoint.sends_max_tokens = True
    endpoint.server = await recognise(endpoint, exchange=exchange, models=models)


def describe_refusal(exchange: ProbeExchange) -> str:
    """`it answered 404: There is no such model`, as one line."""
    try:
        said = msgspec.json.decode(exchange.body, type=_ErrorAnswer).error.message
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = exchange.body.decode("utf-8", "replace")
    said = " ".join(said[:_WORDS_LENGTH_MAX].split()).rstrip(".")
    return f"it answered {exchange.status}" + (f": {said}" if said else "")


_WORDS_LENGTH_MAX = 500


class _Error(msgspec.Struct):
    message: str


class _ErrorAnswer(msgspec.Struct):
    error: _Error


async def _list_models(endpoint: Endpoint) -> list[ListedModel]:
    """The models, if it lists any: an endpoint can be checked without a list."""
    try:
        return await endpoint.list_models()
    except (KeyRefused, TransportError):
        return []


def _choose_model(models: Sequence[ListedModel]) -> str:
    if len(models) != 1:
        raise CannotCheck(f"choose the model to check: {_suggest(models)}")
    return models[0].id


def _suggest(models: Sequence[ListedModel]) -> str:
    """Which models can be checked."""
    if not models:
        return "give a URL that ends in /v1, and name one of its models with --model"
    shown = ", ".join(model.id for model in models[:_MODELS_SHOWN])
    more = len(models) - _MODELS_SHOWN
    return f"--model takes one of {shown}" + (f" and {more} more" if more > 0 else "")


def _count_tokens(exchange: ProbeExchange) -> int:
    """The completion tokens that an answer counts."""
    try:
        answer = members(json.decode(exchange.body))
    except msgspec.DecodeError:
        return 0
    return integer(members(answer.get("usage")).get("completion_tokens")) or 0
