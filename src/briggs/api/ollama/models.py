"""The models and the version, for clients of Ollama."""

from __future__ import annotations

from starlette.requests import Request

from briggs.api.answers import Json, read_json_object
from briggs.gateway.models import list_models, retrieve_model
from briggs.parts import find_parts
from briggs.types.errors import InvalidRequest
from briggs.wires.ollama.chat import read_model
from briggs.wires.ollama.models import VERSION, write_model, write_models


async def list_all_models(request: Request) -> Json:
    """`GET /api/tags`: the names in briggs.toml and the models of every provider."""
    return Json(write_models(await list_models(models=find_parts(request).running.models)))


async def list_running_models(request: Request) -> Json:
    """`GET /api/ps`: none, since Briggs starts and stops models by itself."""
    return Json(write_models([]))


async def retrieve_version(request: Request) -> Json:
    """`GET /api/version`: the version of Ollama whose API this is."""
    return Json({"version": VERSION})


async def show_model(request: Request) -> Json:
    """`POST /api/show`: one model."""
    body = await read_json_object(request)
    name = body.get("model") or body.get("name")
    if not isinstance(name, str):
        raise InvalidRequest("The member 'model' is required.", param="model")
    model = await retrieve_model(read_model(name), models=find_parts(request).running.models)
    return Json(write_model(model))
