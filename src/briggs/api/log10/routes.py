"""The `/api` face as a table."""

from __future__ import annotations

from briggs.api.log10 import (
    completions,
    feedback,
    feedback_tasks,
    organizations,
    queue,
    sessions,
)
from briggs.api.route import route

_LEGACY = "/api/completions"
_COMPLETIONS = "/api/v1/completions"
_SESSIONS = "/api/v1/sessions"
_TASKS = "/api/v1/feedback_task"
_LEASE = f"{_TASKS}/{{id}}/leases/{{completion_id}}"
_FEEDBACK = "/api/v1/feedback"
_ORGANIZATIONS = "/api/v1/organizations"

ROUTES = [
    route("POST", _LEGACY, completions.create_legacy, scope="answer"),
    route("GET", _LEGACY, completions.list_legacy, scope="read"),
    route("POST", f"{_LEGACY}/{{id}}", completions.upsert_legacy, scope="answer"),
    route("GET", f"{_LEGACY}/{{id}}", completions.retrieve_legacy, scope="read"),
    route("GET", "/api/tags/search", completions.search_tags, scope="read"),
    route("POST", _COMPLETIONS, completions.create, scope="answer"),
    route("GET", f"{_COMPLETIONS}/ungraded", queue.list_ungraded, scope="read"),
    route("POST", f"{_COMPLETIONS}/{{id}}", completions.update, scope="answer"),
    route("GET", f"{_COMPLETIONS}/{{id}}", completions.retrieve, scope="read"),
    route("POST", "/api/sessions", sessions.create_legacy, scope="answer"),
    route("POST", _SESSIONS, sessions.create, scope="answer"),
    route("GET", _SESSIONS, sessions.list_sessions, scope="read"),
    route("GET", f"{_SESSIONS}/{{id}}", sessions.retrieve, scope="read"),
    route("POST", _TASKS, feedback_tasks.create, scope="admin"),
    route("GET", _TASKS, feedback_tasks.list_tasks, scope="read"),
    route("GET", f"{_TASKS}/{{id}}", feedback_tasks.retrieve, scope="read"),
    route("POST", f"{_TASKS}/{{id}}", feedback_tasks.update, scope="admin"),
    route("DELETE", f"{_TASKS}/{{id}}", feedback_tasks.delete, scope="admin"),
    route("GET", f"{_TASKS}/{{id}}/versions", feedback_tasks.list_versions, scope="read"),
    route("GET", f"{_TASKS}/{{id}}/progress", feedback_tasks.retrieve_progress, scope="read"),
    route("GET", f"{_TASKS}/{{id}}/agreement", feedback_tasks.retrieve_agreement, scope="read"),
    route("POST", f"{_TASKS}/{{id}}/next", queue.take_next, scope="grade"),
    route("POST", f"{_LEASE}/renew", queue.renew, scope="grade"),
    route("POST", f"{_LEASE}/skip", queue.skip, scope="grade"),
    route("DELETE", _LEASE, queue.release, scope="grade"),
    route("POST", _FEEDBACK, feedback.create, scope="grade"),
    route("GET", _FEEDBACK, feedback.list_all, scope="read"),
    route("GET", f"{_FEEDBACK}/export", feedback.export, scope="read"),
    route("GET", f"{_FEEDBACK}/{{id}}", feedback.retrieve, scope="read"),
    route("POST", f"{_FEEDBACK}/{{id}}", feedback.update, scope="grade"),
    route("DELETE", f"{_FEEDBACK}/{{id}}", feedback.delete, scope="admin"),
    route("GET", f"{_FEEDBACK}/{{id}}/versions", feedback.list_versions, scope="read"),
    route("POST", _ORGANIZATIONS, organizations.create_organization, scope="admin"),
    route("GET", _ORGANIZATIONS, organizations.list_organizations, scope="read"),
    route("GET", f"{_ORGANIZATIONS}/{{name}}", organizations.retrieve_organization, scope="read"),
]
