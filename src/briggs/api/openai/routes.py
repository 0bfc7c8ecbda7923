"""The routes of the `/v1` API, except the calls of models, which are in `api/calls.py`."""

from __future__ import annotations

from briggs.api.openai import completions, keys, models
from briggs.api.route import route

_COMPLETIONS = "/v1/chat/completions"
_COMPLETION = "/v1/chat/completions/{id}"
_KEYS = "/v1/organization/admin_api_keys"

ROUTES = [
    route("GET", _COMPLETIONS, completions.list_completions, scope="read"),
    route("GET", _COMPLETION, completions.retrieve_completion, scope="read", graders=True),
    route("POST", _COMPLETION, completions.update_completion, scope="answer"),
    route("DELETE", _COMPLETION, completions.delete_completion, scope="admin"),
    route("GET", f"{_COMPLETION}/messages", completions.list_asked, scope="read", graders=True),
    route("GET", f"{_COMPLETION}/received", completions.retrieve_received, scope="read"),
    route("GET", "/v1/models", models.list_all_models, scope="answer"),
    route("GET", "/v1/models/{id:path}", models.retrieve_one_model, scope="answer"),
    route("POST", _KEYS, keys.create_key, scope="admin"),
    route("GET", _KEYS, keys.list_keys, scope="admin"),
    route("POST", f"{_KEYS}/{{id}}", keys.update_key, scope="admin"),
    route("DELETE", f"{_KEYS}/{{id}}", keys.revoke_key, scope="admin"),
]
