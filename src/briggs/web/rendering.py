"""Renders a template into a page. Everything that is not markup of ours is escaped."""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path
from typing import Any

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse

from briggs import __version__
from briggs.types.texts import printable
from briggs.web import drawings, figures, markdown, probabilities, static_files, tint
from briggs.web.addresses import quote_part
from briggs.web.csrf import FIELD
from briggs.web.navigation import read_surroundings
from briggs.web.session import write_token

_FILTERS = (
    *("number", "seconds", "dollars", "total", "probability", "percent", "odds", "size", "days"),
    *("time", "ticks"),
)
THEMES = ("light", "dark")
"""The themes that a viewer can choose. Without a choice, the system's is used."""


async def render(
    request: Request, template: str, *, status: int = 200, **values: Any
) -> HTMLResponse:
    """Render a template with these values, and with what `layout.html` needs."""
    session = request.state.session
    theme = request.cookies.get("theme")
    places, state = await read_surroundings(request)
    values |= {
        "request": request,
        "key": request.state.key,
        "csrf_token": write_token(session) if session else "",
        "theme": theme if theme in THEMES else "",
        "places": places,
        "state": state,
    }
    # In a thread, because a long page must not hold up the calls that are being answered.
    text = await asyncio.to_thread(open_templates().get_template(template).render, values)
    # A lone surrogate, which a model can write, is no valid UTF-8.
    body = text.encode("utf-8", "replace")
    return HTMLResponse(body, status_code=status)


@functools.cache
def open_templates() -> jinja2.Environment:
    """The templates, with the filters and functions that all of them may use."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in _FILTERS:
        templates.filters[name] = getattr(figures, name)
    templates.filters |= {
        "shown": printable,
        "mark": tint.mark,
        "markdown": markdown.render_markdown,
        "instruction": markdown.render_instruction,
    }
    templates.filters["urlencode"] = quote_part
    templates.globals |= {
        "static": static_files.address,
        "strip": drawings.strip,
        "sparkline": drawings.sparkline,
        "along": drawings.along,
        "histogram": drawings.histogram,
        "share": drawings.share,
        "level_name": drawings.name_level,
        "level_percent": probabilities.level_percent,
        "mark_place": probabilities.mark_place,
        "plural": figures.plural,
        "version": __version__,
        "csrf_name": FIELD,
    }
    return templates
