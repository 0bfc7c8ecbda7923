"""`GET /v1/models`: every model that a caller can use, in OpenAI's shape or Anthropic's.

https://platform.openai.com/docs/api-reference/models
"""

from __future__ import annotations

from starlette.requests import Request

from briggs.api.answers import Json
from briggs.gateway.models import list_models, retrieve_model
from briggs.parts import find_parts
from briggs.wires.anthropic.models import VERSION_HEADER, write_model, write_models


async def list_all_models(request: Request) -> Json:
    """`GET /v1/models`: the names in briggs.toml and the models of every provider."""
    models = await list_models(models=find_parts(request).running.models)
    if VERSION_HEADER in request.headers:
        return Json(write_models(models, request.query_params))
    return Json({"object": "list", "data": models})


async def retrieve_one_model(request: Request) -> Json:
    """`GET /v1/models/{id}`: one model. Its id may contain slashes and colons."""
    models = find_parts(request).running.models
    model = await retrieve_model(request.path_params["id"], models=models)
    return Json(write_model(model) if VERSION_HEADER in request.headers else model)
