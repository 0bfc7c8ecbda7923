"""The routes of the `/api` API that only Log10's clients use."""

from __future__ import annotations

from starlette.routing import Route

from briggs.api.log10 import autoprompt, browser, completions, graphql, usage
from briggs.api.route import route

_LEGACY = "/api/completions"
_COMPLETIONS = "/api/v1/completions"
_AUTOPROMPT = "/api/experimental/autoprompt"

ROUTES = [
    route("POST", _LEGACY, completions.create_legacy, scope="answer"),
    route("GET", _LEGACY, completions.list_legacy, scope="read"),
    route("POST", f"{_LEGACY}/{{id}}", completions.upsert_legacy, scope="answer"),
    route("GET", f"{_LEGACY}/{{id}}", completions.retrieve_legacy, scope="read", graders=True),
    route("GET", "/api/tags/search", completions.search_tags, scope="read"),
    route("POST", _COMPLETIONS, completions.create, scope="answer"),
    route("GET", f"{_COMPLETIONS}/ungraded", completions.list_ungraded, scope="read", graders=True),
    route("POST", f"{_COMPLETIONS}/{{id}}", completions.update, scope="answer"),
    route("GET", f"{_COMPLETIONS}/{{id}}", completions.retrieve, scope="read", graders=True),
    route("GET", "/api/metrics/modelStats", usage.list_daily, scope="read"),
    route("POST", f"{_AUTOPROMPT}/convert", autoprompt.convert, scope="read"),
    route("POST", f"{_AUTOPROMPT}/report", autoprompt.report, scope="read"),
    route("POST", f"{_AUTOPROMPT}/suggestions", autoprompt.suggest, scope="read"),
    route("POST", "/graphql", graphql.answer, scope="read"),
    Route("/app/{slug}/completions/{id}", browser.redirect, methods=["GET"]),
    Route("/app/{slug}/completions", browser.redirect_query, methods=["GET"]),
    Route("/app/{slug}/evaluations", browser.show_test_run, methods=["GET"]),
]
"""The pages below `/app` need no key."""
