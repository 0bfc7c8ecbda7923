"""The pages: what a browser sees of the record, rendered here over the functions of the API.

How a page is made, for the noun `completions`:

1. `routes.py` gets a row: `page("GET", "/completions", completions.list_page, scope="read")`. The
   scope is the one that the API asks for. `graders=True` admits keys that can only grade, as in
   `api/route.py`. The endpoint finds the key of the session at `request.state.key`, and the store
   and all other parts by `find_parts(request)` of `briggs.parts`. It reads and writes nothing of
   another organization than `request.state.key.organization_id`.
2. `completions.py` has thin endpoints: read the URL, call the floors below (never `api/`), compute
   the values by plain functions that a test can call without a browser, and
   `return await render(request, "completions/list.html", title="Completions", rows=rows)`.
   Raise a `BriggsError` for everything that cannot be done: it becomes a page, or for htmx a toast.
3. `templates/completions/list.html` begins with `{% extends "layout.html" %}` and fills the blocks
   `heading` (beside the title), `actions` (right end of the top bar), `main`, `head` (its own CSS:
   `<link rel="stylesheet" href="{{ static('css/completions.css') }}">`) and `scripts` (its module:
   `<script type="module" src="{{ static('js/completions.js') }}"></script>`), and `keys` (rows of
   the key help: `{{ key_row(["J", "K"], "next, previous") }}`). A fragment for htmx is a template
   that extends nothing, rendered by the same `render`.
4. Parts are macros: `{% from "parts/controls.html" import button, pill, tabs, segmented, empty %}`,
   `{% from "parts/icons.html" import icon %}`. Filters write figures: `{{ 1.95 | seconds }}`,
   `{{ cost | dollars }}`, `{{ p | probability }}`, `{{ n | number }}`, `{{ at | time }}`; None is
   a dash. `{{ strip(levels) }}` draws a certainty strip (`bin_levels`).
5. A form has `method="post"` and `{% include "parts/csrf.html" %}`; its endpoint reads
   `await read_form(request)` and ends with `see_other("/completions")`. htmx, and `send()` of
   `shell.js`, put the token into a header. `page` checks the token before the endpoint runs.
6. No `style=`, no `on...=`, no inline script: the CSP stops them. Sizes are SVG attributes,
   classes, `<progress>`, or `element.style` set by a module. State is in the URL; the page works
   without JavaScript, and a module makes it better. Modules import `./shell.js`: `send`, `toast`,
   `copy`, `showTimes`, `onKey("j", "next", act)`, and `offer("Least certain first", "/...")` for
   the palette. Put `data-query` on the input that `/` focuses.
7. Colours, controls, tables and panels are in `static/css/base.css`. Use its tokens
   (`var(--ink-2)`), so that both themes, forced colours and phones work.
8. `tests/web/test_completions.py` speaks HTTP (`visit` and `submit` of the fixture `visitor`),
   and `tests/web/browser/test_completions.py` drives Chromium (`open_page`, `check_every_look`).
"""
