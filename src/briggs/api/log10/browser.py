"""The addresses that Log10's clients print links to.

A completion has a page. A test run has none, so its address, which needs no key, shows nothing but
the id from the URL, and the command that retrieves the report.
"""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Briggs</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto; }}
pre {{ background: #eee; color: #111; padding: 1rem; overflow: auto; }}
</style>
<h1>{title}</h1>
<p>{text}</p>
<pre>{command}</pre>
</html>
"""


async def redirect(request: Request) -> Response:
    """`GET /app/{slug}/completions/{id}`: redirect to the page of the completion."""
    return _lead_to(request.path_params["id"])


async def redirect_query(request: Request) -> Response:
    """`GET /app/{slug}/completions?id=`: the same."""
    return _lead_to(request.query_params.get("id", ""))


async def show_test_run(request: Request) -> Response:
    """`GET /app/{slug}/evaluations?id=`: how to retrieve a test run."""
    id = quote(request.query_params.get("id", ""), safe="")
    address = f"{request.base_url}api/v1/test_runs/{id or 'ID'}"
    page = _PAGE.format(
        title=escape(f"Test run {id}" if id else "No test run is named"),
        text="Show this test run with" if id else "Name a test run, and show it with",
        command=escape(f"curl -H 'x-log10-token: KEY' '{address}'"),
    )
    return HTMLResponse(page, headers=_HEADERS)


def _lead_to(id: str) -> Response:
    """The page of a completion asks for a key, and then shows it."""
    return RedirectResponse(f"/completions/{quote(id, safe='')}".rstrip("/"), status_code=302)
