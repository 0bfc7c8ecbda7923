"""The GraphQL operations of Log10's clients, exactly as those send them."""

from __future__ import annotations

import json
import socket
import uuid
from typing import Any

import pytest

from tests.processes import Server
from tests.waiting import PATIENCE_S

FEEDBACK = """
query OrganizationFeedback($id: String!, $filter: String, $taskId: String, $page: Int, $limit: Int) {
    organization(id: $id) {
        id
        feedbackV2(filter: $filter, taskId: $taskId, page: $page, limit: $limit) {
            pageInfo{
                totalCount
                currentPage
            }
            nodes {
                id
                jsonValues
                task {
                    id
                    name
                }
                completions {
                    id
                }
            }
        }
    }
}
"""  # noqa: E501
COMPLETION = """
query OrganizationCompletion($orgId: String!, $id: String!) {
  organization(id: $orgId) {
    slug
    completion(id: $id) { id autoFeedback { id status jsonValues comment task { id name } } }
  }
}
"""
TEST_RUN = """
mutation CreateTestRun($input: CreateTestRunInput!) {
  createTestRun(input: $input) { id name reportUploadUrl createdAt organization { slug } }
}
"""


def ask(
    server: Server, query: str, variables: dict[str, Any] | None = None, *, key: str = ""
) -> dict[str, Any]:
    """The answer to a query, whose token is in a header of its own."""
    headers = {"x-api-token": key or server.key}
    body = {"query": query, "variables": variables}
    reply = server.send("POST", "/graphql", body, key=None, headers=headers)
    assert reply.status == 200, reply.body
    return dict(reply.json)


@pytest.fixture(scope="module")
def task(log10: Server) -> str:
    """A task with six answers, about one completion."""
    tag = "graded-by-graphql"
    completion = {"status": "finished", "tags": [tag]}
    log10.send("POST", f"/api/completions/{uuid.uuid4()}", completion)
    schema = {"type": "object", "properties": {"coverage": {"type": "integer"}}}
    made = log10.send("POST", "/api/v1/feedback_task", {"name": "Coverage", "json_schema": schema})
    assert made.status == 200, made.body
    id: str = made.json["id"]
    for coverage in range(1, 7):
        body = {"task_id": id, "json_values": {"coverage": coverage}}
        selector = {"completion_tags_selector": [tag]}
        assert log10.send("POST", "/api/v1/feedback", {**body, **selector}).status == 200
    return id


def test_feedback(log10: Server, task: str) -> None:
    """Feedback is filtered, counted and paged from 1, newest first."""

    def find(**variables: Any) -> tuple[list[int], dict[str, int]]:
        answered = ask(log10, FEEDBACK, {"id": "default", "taskId": task, **variables})
        assert "errors" not in answered
        page = answered["data"]["organization"]["feedbackV2"]
        for node in page["nodes"]:
            assert node["task"] == {"id": task, "name": "Coverage"}
            assert len(node["completions"]) == 1
        return [node["jsonValues"]["coverage"] for node in page["nodes"]], page["pageInfo"]

    assert find() == ([6, 5, 4, 3, 2, 1], {"totalCount": 6, "currentPage": 1})
    assert find(page=2, limit=4) == ([2, 1], {"totalCount": 6, "currentPage": 2})
    assert find(filter="coverage <= 3", limit=2) == ([3, 2], {"totalCount": 3, "currentPage": 1})
    assert find(filter="", page=None, limit=None)[1]["totalCount"] == 6


def test_a_filter_that_is_wrong(log10: Server, task: str) -> None:
    """An invalid filter is an error in GraphQL's shape, which lists the valid fields."""
    variables = {"id": "default", "taskId": task, "filter": "covrage <= 3"}
    answered = ask(log10, FEEDBACK, variables)
    [error] = answered["errors"]
    assert "coverage" in error["message"]
    assert error["path"] == ["organization", "feedbackV2"]
    assert answered["data"]["organization"]["feedbackV2"] is None


def test_completion(log10: Server, acme: str) -> None:
    """A completion has no automatic feedback, and that of another organization is not found."""
    id = str(uuid.uuid4())
    log10.send("POST", f"/api/completions/{id}", {"status": "started"})
    answered = ask(log10, COMPLETION, {"orgId": "default", "id": id})
    assert answered["data"]["organization"] == {
        "slug": "default", "completion": {"id": id, "autoFeedback": None},
    }  # fmt: skip
    schema = {"type": "object", "properties": {"stars": {"type": "integer"}}}
    task = log10.send("POST", "/api/v1/feedback_task", {"name": "auto", "json_schema": schema}).json
    for kind, stars in (("model", 4), ("person", 1)):
        body = {"task_id": task["id"], "json_values": {"stars": stars}, "completion_ids": [id]}
        log10.send("POST", "/api/v1/feedback", {**body, "reviewer_kind": kind, "comment": kind})
    answered = ask(log10, COMPLETION, {"orgId": "default", "id": id})
    judged = answered["data"]["organization"]["completion"]["autoFeedback"]
    assert judged.pop("id") and judged == {
        "status": "predicted",
        "jsonValues": {"stars": 4},
        "comment": "model",
        "task": {"id": task["id"], "name": "auto"},
    }
    refused = ask(log10, COMPLETION, {"orgId": "acme", "id": id}, key=acme)
    assert refused["data"]["organization"]["completion"] is None
    assert refused["errors"][0]["message"] == f"There is no completion '{id}'."
    refused = ask(log10, COMPLETION, {"orgId": "default", "id": id}, key=acme)
    assert refused["data"] == {"organization": None}
    assert "belongs to 'acme'" in refused["errors"][0]["message"]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("{", "Syntax Error"),
        ("{ nothing }", "Cannot query field"),
        ("{ __schema { types { name } } }", "introspection has been disabled"),
        ("query($id: String!) { organization(id: $id) { id } }", "to be provided"),
        ("{ organization(id: 7) { id } }", "String cannot represent"),
        ("{ a: organization(id: \"default\") { feedbackV2(page: 0) { nodes { id } } } }", "'page'"),
        ("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }", "at most"),
        ("{ organization(id: \"default\") " + "{ a " * 20 + "}" * 21, "10 levels"),
        ("{ " + " ".join(f"a{n}: organization(id: \"default\") {{ id }}" for n in range(60)) + "}",
         "at most 100 fields"),
        ("{ " + "a " * 2000 + "}", "tokens"),
        ("{" * 900, "Syntax Error"),
    ],
)  # fmt: skip
def test_bad_queries(log10: Server, query: str, problem: str) -> None:
    """An invalid or too expensive query gets an error in GraphQL's shape."""
    errors = ask(log10, query)["errors"]
    assert any(problem in error["message"] for error in errors), errors


@pytest.mark.parametrize(
    ("body", "problem"),
    [(b"", "'query' is required."), (b"{", "not valid JSON"), (b"[]", "must be a JSON object"),
     (b'{"query": 7}', "'query' is wrong"), (b'{"query": "", "variables": 7}', "'variables'")],
)  # fmt: skip
def test_bad_bodies(log10: Server, body: bytes, problem: str) -> None:
    """A body without a query, or a request without a key, is refused in GraphQL's shape."""
    reply = log10.send("POST", "/graphql", body)
    assert reply.status == 400
    assert problem in reply.json["errors"][0]["message"]
    stranger = log10.send("POST", "/graphql", body, key=None)
    assert stranger.status == 401
    assert stranger.json["errors"][0]["extensions"]["code"] == "invalid_api_key"


def test_a_test_run(log10: Server, acme: str) -> None:
    """A report is uploaded to a URL of its own, without a key, and read by its id."""
    variables = {"input": {"name": "nightly", "organizationId": "default"}}
    run = ask(log10, TEST_RUN, variables)["data"]["createTestRun"]
    assert (run["name"], run["organization"]["slug"]) == ("nightly", "default")
    assert run["reportUploadUrl"].startswith(f"{log10.url}/uploads/")
    address = run["reportUploadUrl"].removeprefix(log10.url)
    path = f"/api/v1/test_runs/{run['id']}"
    before = log10.send("GET", path).json
    assert (before["report"], before["reported_at"]) == (None, None)
    report = {"created": 1.5, "exitcode": 1, "summary": {"passed": 2, "failed": 1}, "tests": []}
    for body in ({}, report):
        put = log10.send("PUT", address, json.dumps(body).encode(), key=None)
        assert put.status == 200, put.body
    assert log10.send("GET", path).json["report"] == report
    listed = log10.send("GET", "/api/v1/test_runs?limit=1").json["data"]
    assert [(each["id"], "report" in each) for each in listed] == [(run["id"], False)]
    assert log10.send("GET", path, key=acme).status == 404
    assert log10.send("GET", "/api/v1/test_runs", key=acme).json["data"] == []
    assert log10.send("PUT", f"{address}x", b"{}", key=None).status == 403
    assert log10.send("PUT", address, b"no JSON", key=None).status == 400
    assert log10.send("GET", path).json["report"] == report


def test_reports_of_strangers(log10: Server) -> None:
    """A secret is checked before the report is read."""
    with socket.create_connection(("127.0.0.1", log10.port), timeout=PATIENCE_S) as connection:
        connection.sendall(
            b"PUT /uploads/test_runs/none/wrong HTTP/1.1\r\nhost: localhost\r\n"
            b"content-length: 30000000\r\n\r\n{"
        )
        assert connection.recv(65536).startswith(b"HTTP/1.1 403 ")


def test_who_may_create_a_test_run(log10: Server) -> None:
    """A key that can only read cannot create a test run."""
    made = log10.send(
        "POST", "/v1/organization/admin_api_keys", {"name": "reader", "scopes": ["read"]}
    )
    variables = {"input": {"name": "nightly", "organizationId": "default"}}
    refused = ask(log10, TEST_RUN, variables, key=made.json["value"])
    assert "scope 'answer'" in refused["errors"][0]["message"]
    nameless = ask(log10, TEST_RUN, {"input": {"name": "", "organizationId": "default"}})
    assert "'name'" in nameless["errors"][0]["message"]
