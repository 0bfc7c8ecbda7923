"""The routes of the `/v1` API, except the calls of models, which are in `api/calls.py`."""

from __future__ import annotations

from briggs.api.openai import completions, conversations, keys, models, responses
from briggs.api.route import route

_COMPLETIONS = "/v1/chat/completions"
_COMPLETION = "/v1/chat/completions/{id}"
_RESPONSE = "/v1/responses/{id}"
_INPUT_ITEMS = "/v1/responses/{id}/input_items"
_CONVERSATION = "/v1/conversations/{id}"
_ITEM = "/v1/conversations/{id}/items/{item_id}"
_KEYS = "/v1/organization/admin_api_keys"

ROUTES = [
    route("GET", _COMPLETIONS, completions.list_completions, scope="read"),
    route("GET", _COMPLETION, completions.retrieve_completion, scope="read", graders=True),
    route("POST", _COMPLETION, completions.update_completion, scope="answer"),
    route("DELETE", _COMPLETION, completions.delete_completion, scope="admin"),
    route("GET", f"{_COMPLETION}/messages", completions.list_asked, scope="read", graders=True),
    route("GET", f"{_COMPLETION}/received", completions.retrieve_received, scope="read"),
    route("POST", "/v1/responses/input_tokens", responses.count_input_tokens, scope="answer"),
    route("POST", "/v1/responses/compact", responses.compact_response, scope="answer"),
    route("GET", _RESPONSE, responses.retrieve_response, scope="answer", readers=True),
    route("DELETE", _RESPONSE, responses.delete_response, scope="admin"),
    route("POST", f"{_RESPONSE}/cancel", responses.cancel_response, scope="answer"),
    route(
        "GET", f"{_RESPONSE}/input_items", responses.list_input_items, scope="answer", readers=True
    ),
    route("POST", "/v1/conversations", conversations.create_conversation, scope="answer"),
    route("GET", _CONVERSATION, conversations.retrieve_conversation, scope="answer", readers=True),
    route("POST", _CONVERSATION, conversations.refuse_change, scope="answer"),
    route("DELETE", _CONVERSATION, conversations.refuse_change, scope="admin"),
    route("GET", f"{_CONVERSATION}/items", conversations.list_items, scope="answer", readers=True),
    route("POST", f"{_CONVERSATION}/items", conversations.refuse_change, scope="answer"),
    route("GET", _ITEM, conversations.retrieve_item, scope="answer", readers=True),
    route("DELETE", _ITEM, conversations.refuse_change, scope="admin"),
    route("GET", "/v1/models", models.list_all_models, scope="answer"),
    route("GET", "/v1/models/{id:path}", models.retrieve_one_model, scope="answer"),
    route("POST", _KEYS, keys.create_key, scope="admin"),
    route("GET", _KEYS, keys.list_keys, scope="admin"),
    route("POST", f"{_KEYS}/{{id}}", keys.update_key, scope="admin"),
    route("DELETE", f"{_KEYS}/{{id}}", keys.revoke_key, scope="admin"),
]
