"""The routes of Briggs's own API. Log10's clients use some of them too."""

from __future__ import annotations

from starlette.routing import Route

from briggs.api.briggs import (
    completions,
    datasets,
    drift,
    eval_runs,
    feedback,
    feedback_tasks,
    invitations,
    judges,
    lake,
    named_prompts,
    nodes,
    organizations,
    preferences,
    prompts,
    queue,
    record_lines,
    retention,
    rollups,
    search,
    sessions,
    sign_in_links,
    statistics,
    test_runs,
)
from briggs.api.route import route

_SESSIONS = "/api/v1/sessions"
_COMPLETIONS = "/api/v1/completions"
_TASKS = "/api/v1/feedback_task"
_LEASE = f"{_TASKS}/{{id}}/leases/{{completion_id}}"
_INVITATIONS = f"{_TASKS}/{{id}}/invitations"
_FEEDBACK = "/api/v1/feedback"
_PREFERENCES = "/api/v1/preferences"
_DRIFT = "/api/v1/drift"
_WATCH = f"{_DRIFT}/{{id:path}}"
_DATASETS = "/api/v1/datasets"
_EVAL_RUNS = "/api/v1/eval_runs"
_TEST_RUNS = "/api/v1/test_runs"
_JUDGES = "/api/v1/judges"
_JUDGE = f"{_JUDGES}/{{id}}"
_PROMPTS = "/api/v1/named_prompts"
_PROMPT = f"{_PROMPTS}/{{name}}"
_ORGANIZATIONS = "/api/v1/organizations"

ROUTES = [
    route("POST", "/api/sessions", sessions.create_legacy, scope="answer"),
    route("POST", _SESSIONS, sessions.create, scope="answer"),
    route("GET", _SESSIONS, sessions.list_sessions, scope="read"),
    route("GET", f"{_SESSIONS}/{{id}}", sessions.retrieve, scope="read"),
    route("GET", f"{_COMPLETIONS}/export", record_lines.export, scope="read"),
    route("POST", f"{_COMPLETIONS}/import", record_lines.import_all, scope="admin"),
    route("DELETE", f"{_SESSIONS}/{{id}}", sessions.delete, scope="admin"),
    route("DELETE", _COMPLETIONS, completions.delete_all, scope="admin"),
    route("POST", _TASKS, feedback_tasks.create, scope="admin"),
    route("GET", _TASKS, feedback_tasks.list_tasks, scope="read", graders=True),
    route("GET", f"{_TASKS}/{{id}}", feedback_tasks.retrieve, scope="read", graders=True),
    route("POST", f"{_TASKS}/{{id}}", feedback_tasks.update, scope="admin"),
    route("DELETE", f"{_TASKS}/{{id}}", feedback_tasks.delete, scope="admin"),
    route(
        "GET", f"{_TASKS}/{{id}}/versions", feedback_tasks.list_versions, scope="read", graders=True
    ),
    route(
        "GET",
        f"{_TASKS}/{{id}}/progress",
        feedback_tasks.retrieve_progress,
        scope="read",
        graders=True,
    ),
    route("GET", f"{_TASKS}/{{id}}/suggestions/{{completion_id}}", queue.suggest, scope="grade"),
    route("GET", f"{_TASKS}/{{id}}/agreement", feedback_tasks.retrieve_agreement, scope="read"),
    route(
        "GET",
        f"{_TASKS}/{{id}}/disagreements",
        feedback_tasks.retrieve_disagreements,
        scope="read",
    ),
    route("POST", _INVITATIONS, invitations.create, scope="admin"),
    route("GET", _INVITATIONS, invitations.list_all, scope="admin"),
    route("DELETE", f"{_INVITATIONS}/{{invitation_id}}", invitations.revoke, scope="admin"),
    route("POST", f"{_TASKS}/{{id}}/next", queue.take_next, scope="grade"),
    route("POST", f"{_LEASE}/renew", queue.renew, scope="grade"),
    route("POST", f"{_LEASE}/skip", queue.skip, scope="grade"),
    route("DELETE", _LEASE, queue.release, scope="grade"),
    route("POST", _FEEDBACK, feedback.create, scope="grade"),
    route("GET", _FEEDBACK, feedback.list_all, scope="read"),
    route("GET", f"{_FEEDBACK}/export", feedback.export, scope="read"),
    route("GET", f"{_FEEDBACK}/{{id}}", feedback.retrieve, scope="read", graders=True),
    route("POST", f"{_FEEDBACK}/{{id}}", feedback.update, scope="grade"),
    route("DELETE", f"{_FEEDBACK}/{{id}}", feedback.delete, scope="admin"),
    route(
        "GET", f"{_FEEDBACK}/{{id}}/versions", feedback.list_versions, scope="read", graders=True
    ),
    route("POST", _PREFERENCES, preferences.create, scope="grade"),
    route("GET", f"{_PREFERENCES}/export", preferences.export, scope="read"),
    route("POST", _DATASETS, datasets.create, scope="answer"),
    route("GET", _DATASETS, datasets.list_all, scope="read"),
    route("GET", f"{_DATASETS}/{{id}}", datasets.retrieve, scope="read"),
    route("GET", f"{_DATASETS}/{{id}}/export", datasets.export, scope="read"),
    route("DELETE", f"{_DATASETS}/{{id}}", datasets.delete, scope="admin"),
    route("POST", _DRIFT, drift.create, scope="admin"),
    route("GET", _DRIFT, drift.list_all, scope="read"),
    # The id may be a target, which has slashes, so the longer paths come first.
    route("POST", f"{_WATCH}/rounds", drift.ask, scope="admin"),
    route("POST", f"{_WATCH}/pause", drift.pause, scope="admin"),
    route("POST", f"{_WATCH}/resume", drift.resume, scope="admin"),
    route("GET", f"{_WATCH}/rounds", drift.list_rounds, scope="read"),
    route("GET", f"{_WATCH}/changes", drift.list_changes, scope="read"),
    route("GET", _WATCH, drift.retrieve, scope="read"),
    route("DELETE", _WATCH, drift.delete, scope="admin"),
    route("POST", _JUDGES, judges.create, scope="admin"),
    route("GET", _JUDGES, judges.list_all, scope="read"),
    route("GET", _JUDGE, judges.retrieve, scope="read"),
    route("POST", _JUDGE, judges.update, scope="admin"),
    route("DELETE", _JUDGE, judges.delete, scope="admin"),
    route("GET", f"{_JUDGE}/versions", judges.list_versions, scope="read"),
    route("POST", f"{_JUDGE}/judgements", judges.judge_one, scope="admin"),
    route("GET", f"{_JUDGE}/judgements", judges.list_judgements, scope="read"),
    route("GET", f"{_JUDGE}/estimates", judges.retrieve_estimates, scope="read"),
    route("GET", f"{_JUDGE}/trust", judges.retrieve_trust, scope="read"),
    route("POST", f"{_JUDGE}/runs", judges.create_run, scope="admin"),
    route("GET", f"{_JUDGE}/runs", judges.list_runs, scope="read"),
    route("GET", f"{_JUDGE}/runs/{{run_id}}", judges.retrieve_run, scope="read"),
    route("POST", f"{_JUDGE}/runs/{{run_id}}/stop", judges.stop_run, scope="admin"),
    route("POST", _EVAL_RUNS, eval_runs.create, scope="answer"),
    route("GET", _EVAL_RUNS, eval_runs.list_all, scope="read"),
    route("POST", f"{_EVAL_RUNS}/estimate", eval_runs.estimate_run, scope="answer"),
    route("GET", f"{_EVAL_RUNS}/{{id}}", eval_runs.retrieve, scope="read"),
    route("GET", f"{_EVAL_RUNS}/{{id}}/progress", eval_runs.watch, scope="read"),
    route("GET", f"{_EVAL_RUNS}/{{id}}/answers", eval_runs.list_answers, scope="read"),
    route("GET", f"{_EVAL_RUNS}/{{id}}/report", eval_runs.retrieve_report, scope="read"),
    route("POST", f"{_EVAL_RUNS}/{{id}}/ask", eval_runs.ask, scope="answer"),
    route("POST", f"{_EVAL_RUNS}/{{id}}/scores", eval_runs.add_scores, scope="answer"),
    route("POST", f"{_EVAL_RUNS}/{{id}}/resume", eval_runs.resume, scope="answer"),
    route("POST", f"{_EVAL_RUNS}/{{id}}/cancel", eval_runs.cancel, scope="answer"),
    route("DELETE", f"{_EVAL_RUNS}/{{id}}", eval_runs.delete, scope="admin"),
    route("GET", "/api/v1/prompts", prompts.list_all, scope="read"),
    route("POST", _PROMPTS, named_prompts.create, scope="admin"),
    route("GET", _PROMPTS, named_prompts.list_all, scope="read"),
    route("GET", _PROMPT, named_prompts.retrieve, scope="read"),
    route("GET", f"{_PROMPT}/comparison", named_prompts.compare, scope="read"),
    route("POST", f"{_PROMPT}/merge", named_prompts.merge, scope="admin"),
    route("DELETE", _PROMPT, named_prompts.delete, scope="admin"),
    route("POST", _TEST_RUNS, test_runs.create, scope="answer"),
    route("GET", _TEST_RUNS, test_runs.list_runs, scope="read"),
    route("GET", f"{_TEST_RUNS}/{{id}}", test_runs.retrieve, scope="read"),
    route("GET", "/api/v1/statistics", statistics.retrieve, scope="read"),
    route("POST", "/api/v1/rollups/rebuild", rollups.rebuild, scope="admin"),
    route("GET", "/api/v1/retention", retention.retrieve, scope="read"),
    route("POST", "/api/v1/retention/run", retention.run, scope="admin"),
    route("GET", "/api/v1/rollups/rebuild", rollups.retrieve_progress, scope="read"),
    route("GET", "/api/v1/nodes", nodes.list_all, scope="admin"),
    route("GET", "/api/v1/lake", lake.retrieve, scope="read"),
    route("POST", "/api/v1/lake/archive", lake.archive, scope="admin"),
    route("POST", "/api/v1/lake/compact", lake.compact, scope="admin"),
    route("POST", "/api/v1/search/rebuild", search.rebuild, scope="admin"),
    route("GET", "/api/v1/search/rebuild", search.retrieve_progress, scope="read"),
    route("POST", _ORGANIZATIONS, organizations.create, scope="admin"),
    route("GET", _ORGANIZATIONS, organizations.list_all, scope="read"),
    route("GET", f"{_ORGANIZATIONS}/{{name}}", organizations.retrieve, scope="read"),
    route("DELETE", f"{_ORGANIZATIONS}/{{name}}", organizations.delete, scope="admin"),
    Route("/api/v1/sign_in_links", sign_in_links.create, methods=["POST"]),
    Route(f"{test_runs.UPLOADS}/{{id}}/{{secret}}", test_runs.upload, methods=["PUT"]),
]
"""The last one needs no key: a secret is part of its path. The one before takes every key."""
