"""The routes of Ollama's API, except the calls of models, which are in `api/calls.py`."""

from __future__ import annotations

from briggs.api.ollama import models
from briggs.api.route import route

ROUTES = [
    route("GET", "/api/tags", models.list_all_models, scope="answer"),
    route("GET", "/api/ps", models.list_running_models, scope="answer"),
    route("GET", "/api/version", models.retrieve_version, scope="answer"),
    route("POST", "/api/show", models.show_model, scope="answer"),
]
