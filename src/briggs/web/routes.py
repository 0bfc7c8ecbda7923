"""The routes of the pages."""

from __future__ import annotations

from starlette.routing import Route

from briggs.web import (
    compare,
    completion,
    completions,
    datasets,
    drift,
    evals,
    feedback_tasks,
    grading,
    home,
    judges,
    palette,
    playground,
    prompts,
    results,
    selection,
    sessions,
    settings,
    sign_in,
)
from briggs.web.route import SIGN_IN, open_page, page
from briggs.web.static_files import send_file

_COMPLETIONS = "/completions"
_COMPLETION = f"{_COMPLETIONS}/{{id}}"

OPEN_ROUTES = [
    open_page("GET", SIGN_IN, sign_in.show),
    open_page("POST", SIGN_IN, sign_in.sign_in),
    open_page("GET", f"{SIGN_IN}/{{secret}}", sign_in.show_link),
    open_page("POST", f"{SIGN_IN}/{{secret}}", sign_in.use_link),
    open_page("GET", "/invitations/{secret}", grading.show_invitation),
    open_page("POST", "/invitations/{secret}", grading.accept_invitation),
    open_page("POST", "/sign-out", sign_in.sign_out),
    open_page("POST", "/theme", sign_in.choose_theme),
    Route("/static/{version}/{path:path}", send_file, methods=["GET"]),
]
"""What a visitor may open who has not signed in. It shows nothing of the record."""

_TASK = "/feedback/{id}"
_GRADE = f"{_TASK}/grade"
_ITEM = f"{_TASK}/items/{{completion_id}}"
_PART = "{message}/{part}"

PAGES = [
    page("GET", "/", home.show, scope="read", graders=True),
    page("GET", _COMPLETIONS, completions.show, scope="read"),
    page("GET", f"{_COMPLETIONS}/overview", completions.show_overview, scope="read"),
    page("GET", f"{_COMPLETIONS}/news", completions.show_news, scope="read"),
    page("GET", f"{_COMPLETIONS}/export", completions.export, scope="read"),
    page("POST", f"{_COMPLETIONS}/selected", selection.act, scope="read"),
    page("POST", f"{_COMPLETIONS}/tags/restore", selection.restore_tags, scope="read"),
    page("POST", f"{_COMPLETIONS}/views", completions.save_view, scope="read"),
    page("POST", f"{_COMPLETIONS}/views/{{id}}/delete", completions.delete_view, scope="read"),
    page("GET", f"{_COMPLETION}/peek", completions.show_peek, scope="read"),
    page("GET", _COMPLETION, completion.show, scope="read"),
    page("GET", f"{_COMPLETION}/tab", completion.show_tab, scope="read"),
    page("GET", f"{_COMPLETION}/tokens", completion.show_tokens, scope="read"),
    page("GET", f"{_COMPLETION}/text/{{message}}/{{part}}", completion.show_text, scope="read"),
    page("GET", f"{_COMPLETION}/images/{{message}}/{{part}}", completion.send_image, scope="read"),
    page("GET", f"{_COMPLETION}/raw", completion.show_raw, scope="read"),
    page("GET", f"{_COMPLETION}/raw/{{body}}", completion.send_raw, scope="read"),
    page("GET", f"{_COMPLETION}/snippets/{{language}}", completion.send_snippet, scope="read"),
    page("POST", f"{_COMPLETION}/tags", completion.change_tags, scope="read"),
    page("POST", f"{_COMPLETION}/delete", completion.delete, scope="admin"),
    page("GET", "/compare", compare.show, scope="read"),
    page("GET", "/compare/add", compare.add, scope="read"),
    page("POST", "/compare", compare.prefer, scope="read"),
    page("GET", "/sessions", sessions.list_page, scope="read"),
    page("GET", "/sessions/{id:path}", sessions.show, scope="read"),
    page("GET", "/feedback", feedback_tasks.list_page, scope="read", graders=True),
    page("GET", "/feedback/new", feedback_tasks.show_new, scope="admin"),
    page("POST", "/feedback/new", feedback_tasks.save, scope="admin"),
    page("POST", "/feedback/preview", feedback_tasks.preview, scope="admin"),
    page("GET", f"{_TASK}/edit", feedback_tasks.show_task, scope="admin"),
    page("POST", f"{_TASK}/edit", feedback_tasks.save, scope="admin"),
    page("GET", _TASK, results.show, scope="read"),
    page("GET", f"{_TASK}/export", results.export, scope="read"),
    page("POST", f"{_TASK}/decide", results.decide, scope="admin"),
    page("POST", f"{_TASK}/invitations", results.invite, scope="admin"),
    page("POST", f"{_TASK}/invitations/{{invitation_id}}/revoke", results.revoke, scope="admin"),
    page("GET", _GRADE, grading.show, scope="grade", invited=True),
    page("POST", _GRADE, grading.save, scope="grade", invited=True),
    page("GET", f"{_GRADE}/done", grading.show_done, scope="grade", invited=True),
    page("POST", f"{_GRADE}/renew", grading.renew, scope="grade", invited=True),
    page("POST", f"{_GRADE}/unskip", grading.unskip, scope="grade", invited=True),
    page("GET", f"{_ITEM}/tokens", grading.show_tokens, scope="grade", invited=True),
    page("GET", f"{_ITEM}/text/{_PART}", grading.show_text, scope="grade", invited=True),
    page("GET", f"{_ITEM}/images/{_PART}", grading.send_image, scope="grade", invited=True),
    page("POST", f"{_TASK}/archive", feedback_tasks.archive, scope="admin"),
    page("GET", "/prompts", prompts.list_page, scope="read"),
    page("POST", "/prompts", prompts.create, scope="admin"),
    page("GET", "/prompts/{id}", prompts.show, scope="read"),
    page("POST", "/prompts/{id}/merge", prompts.merge, scope="admin"),
    page("POST", "/prompts/{id}/delete", prompts.delete, scope="admin"),
    page("GET", "/drift", drift.list_page, scope="read"),
    page("POST", "/drift", drift.create, scope="admin"),
    page("GET", "/drift/{id}", drift.show, scope="read"),
    page("POST", "/drift/{id}/ask", drift.ask, scope="admin"),
    page("POST", "/drift/{id}/pause", drift.pause, scope="admin"),
    page("POST", "/drift/{id}/delete", drift.delete, scope="admin"),
    page("GET", "/datasets", datasets.list_page, scope="read"),
    page("GET", "/datasets/{id}", datasets.show, scope="read"),
    page("GET", "/judges", judges.list_page, scope="read"),
    page("POST", "/judges", judges.create, scope="admin"),
    page("GET", "/judges/{id}", judges.show, scope="read"),
    page("POST", "/judges/{id}/learn", judges.learn, scope="admin"),
    page("POST", "/judges/{id}/runs", judges.create_run, scope="admin"),
    page("POST", "/judges/{id}/runs/{run_id}/stop", judges.stop_run, scope="admin"),
    page("GET", "/evals", evals.list_page, scope="read"),
    page("GET", "/evals/{id}", evals.show, scope="read"),
    page("POST", "/evals/{id}/resume", evals.resume, scope="read"),
    page("POST", "/evals/{id}/cancel", evals.cancel, scope="read"),
    page("GET", "/first-call", home.show_first_call, scope="read"),
    page("GET", "/palette", palette.search, scope="read", graders=True),
    page("GET", "/playground", playground.show, scope="answer"),
    page("POST", "/playground", playground.change, scope="answer"),
    page("POST", "/playground/run", playground.run, scope="answer"),
    page("GET", "/playground/runs/{id}", playground.show_run, scope="read"),
    page("GET", "/playground/tried", playground.show_tried, scope="read"),
    page("GET", "/playground/models", playground.send_models, scope="answer"),
    page("POST", "/playground/better", playground.prefer, scope="grade"),
    page("GET", "/settings", settings.show, scope="read"),
    page("GET", "/settings/prices", settings.show_prices, scope="read"),
    page("GET", "/settings/rules", settings.show_rules, scope="read"),
    page("POST", "/settings/providers", settings.ask_providers, scope="admin"),
    page("POST", "/settings/keys", settings.create_key, scope="admin"),
    page("POST", "/settings/keys/{id}/limits", settings.limit_key, scope="admin"),
    page("POST", "/settings/keys/{id}/revoke", settings.revoke_key, scope="admin"),
    page("POST", "/settings/organizations", settings.create_one_organization, scope="admin"),
    # The last, so that a walk of the pages is signed in until its end.
    page("POST", "/settings/sign-out", sign_in.sign_out_everywhere, scope="read"),
]
"""What only a key opens."""

ROUTES = [*OPEN_ROUTES, *PAGES]
