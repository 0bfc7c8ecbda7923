"""The routes of Anthropic's API, except the calls of models, which are in `api/calls.py`."""

from __future__ import annotations

from briggs.api.anthropic.tokens import count_tokens
from briggs.api.route import route

ROUTES = [route("POST", "/v1/messages/count_tokens", count_tokens, scope="answer")]
