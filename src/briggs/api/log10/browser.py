"""The pages that Log10's clients print links to.

A browser has no key here, so a page shows nothing of the record. It shows only the id from its
URL, and the command that retrieves it.
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
    slug, id = (quote(request.path_params[name], safe="") for name in ("slug", "id"))
    return RedirectResponse(f"/app/{slug}/completions?id={id}", status_code=302)


async def show_completion(request: Request) -> Response:
    """`GET /app/{slug}/completions?id=`: how to retrieve a completion."""
    return _show(request, noun="completion", command="briggs completions get {id}")


async def show_test_run(request: Request) -> Response:
    """`GET /app/{slug}/evaluations?id=`: how to retrieve a test run."""
    command = "curl -H 'x-log10-token: KEY' '{base}api/v1/test_runs/{id}'"
    return _show(request, noun="test run", command=command)


def _show(request: Request, *, noun: str, command: str) -> Response:
    id = quote(request.query_params.get("id", ""), safe="")
    page = _PAGE.format(
        title=escape(f"{noun.capitalize()} {id}" if id else f"No {noun} is named"),
        text=escape(f"Show this {noun} with" if id else f"Name a {noun}, and show it with"),
        command=escape(command.format(id=id or "ID", base=request.base_url)),
    )
    return HTMLResponse(page, headers=_HEADERS)
