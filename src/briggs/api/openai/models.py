"""`GET /v1/models`: every model that a caller can use.

https://platform.openai.com/docs/api-reference/models
"""

from __future__ import annotations

from starlette.requests import Request

from briggs.api.answers import Json
from briggs.gateway.models import list_models, retrieve_model
from briggs.parts import find_parts


async def list_all_models(request: Request) -> Json:
    """`GET /v1/models`: the names in briggs.toml and the models of every provider."""
    models = find_parts(request).running.models
    return Json({"object": "list", "data": await list_models(models=models)})


async def retrieve_one_model(request: Request) -> Json:
    """`GET /v1/models/{id}`: one model. Its id may contain slashes and colons."""
    models = find_parts(request).running.models
    return Json(await retrieve_model(request.path_params["id"], models=models))
