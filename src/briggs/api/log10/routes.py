"""The `/api` face as a table."""

from __future__ import annotations

from briggs.api.log10 import completions, organizations, sessions
from briggs.api.route import route

_LEGACY = "/api/completions"
_COMPLETIONS = "/api/v1/completions"
_SESSIONS = "/api/v1/sessions"
_ORGANIZATIONS = "/api/v1/organizations"

ROUTES = [
    route("POST", _LEGACY, completions.create_legacy, scope="answer"),
    route("GET", _LEGACY, completions.list_legacy, scope="read"),
    route("POST", f"{_LEGACY}/{{id}}", completions.upsert_legacy, scope="answer"),
    route("GET", f"{_LEGACY}/{{id}}", completions.retrieve_legacy, scope="read"),
    route("GET", "/api/tags/search", completions.search_tags, scope="read"),
    route("POST", _COMPLETIONS, completions.create, scope="answer"),
    route("POST", f"{_COMPLETIONS}/{{id}}", completions.update, scope="answer"),
    route("GET", f"{_COMPLETIONS}/{{id}}", completions.retrieve, scope="read"),
    route("POST", "/api/sessions", sessions.create_legacy, scope="answer"),
    route("POST", _SESSIONS, sessions.create, scope="answer"),
    route("GET", _SESSIONS, sessions.list_sessions, scope="read"),
    route("GET", f"{_SESSIONS}/{{id}}", sessions.retrieve, scope="read"),
    route("POST", _ORGANIZATIONS, organizations.create_organization, scope="admin"),
    route("GET", _ORGANIZATIONS, organizations.list_organizations, scope="read"),
    route("GET", f"{_ORGANIZATIONS}/{{name}}", organizations.retrieve_organization, scope="read"),
]
