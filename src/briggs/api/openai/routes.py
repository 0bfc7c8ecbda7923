"""The `/v1` face as a table. `POST /v1/chat/completions` itself is `chat.py`, beside it."""

from __future__ import annotations

from starlette.routing import Route

from briggs.api.openai import completions, keys, models

ROUTES = [
    Route("/v1/chat/completions", completions.list_completions, methods=["GET"]),
    Route("/v1/chat/completions/{id}", completions.retrieve_completion, methods=["GET"]),
    Route("/v1/chat/completions/{id}", completions.update_completion, methods=["POST"]),
    Route("/v1/chat/completions/{id}", completions.delete_completion, methods=["DELETE"]),
    Route("/v1/chat/completions/{id}/messages", completions.list_messages, methods=["GET"]),
    Route("/v1/models", models.list_all_models, methods=["GET"]),
    Route("/v1/models/{id:path}", models.retrieve_one_model, methods=["GET"]),
    Route("/v1/organization/admin_api_keys", keys.create_key, methods=["POST"]),
    Route("/v1/organization/admin_api_keys", keys.list_keys, methods=["GET"]),
    Route("/v1/organization/admin_api_keys/{id}", keys.revoke_key, methods=["DELETE"]),
]
