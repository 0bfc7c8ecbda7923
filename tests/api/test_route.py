"""How a path finds its route, and how an answer is identified."""

from __future__ import annotations

import socket
from urllib.parse import quote

import pytest

from briggs.api.route import explain_missing, normalise
from tests.processes import Server

REQUEST = {"model": "ok/m-1", "messages": [{"role": "user", "content": "hi"}]}
CHAT = "/v1/chat/completions"


@pytest.mark.parametrize(
    "path",
    [
        "//v1/chat/completions",
        "/v1//chat/completions",
        "/v1/chat///completions",
        "/v1/chat/completions/",
        "/v1/chat%2Fcompletions",
        "/v1/%63hat/completions",
        "/%76%31/chat/completions//",
    ],
)
def test_paths_that_mean_the_same(server: Server, path: str) -> None:
    """Extra slashes and unneeded escapes in a path change nothing."""
    reply = server.send("POST", path, REQUEST)
    assert reply.status == 200, reply.body
    assert reply.json["choices"][0]["message"]["content"] == "hi"
    assert server.send("GET", path + "?limit=1").json["object"] == "list"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/health/"),
        ("GET", "//v1//models/"),
        ("GET", "/api/v1/sessions/"),
        ("GET", "/api//v1/%73essions"),
        ("GET", "//api/completions/?organization_id=default"),
    ],
)
def test_other_paths(server: Server, method: str, path: str) -> None:
    """The same is true for every API, without a redirect."""
    assert server.send(method, path).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/chat/completions",
        "/v1/v1/chat/completions",
        "/v1/chat/completions/chat/completions",
        "/api/v1/chat/completions",
        "/v1/v1/models",
        "/embeddings",
        "/api/v1/embeddings",
        "/completions",
        "/models",
    ],
)
def test_base_urls_that_are_wrong(server: Server, path: str) -> None:
    """A client with the wrong base URL gets the right one in the error."""
    reply = server.send("POST", path, REQUEST)
    assert reply.status == 404
    error = reply.json["error"]
    assert f"http://127.0.0.1:{server.port}/v1." in (
        error if path[:4] == "/api" else error["message"]
    )


def test_paths_where_there_is_nothing() -> None:
    """If the base URL is right, the error does not mention it."""
    for path in ("/v1/images/edits", "/v1/chat/completions/id/nothing", "/"):
        assert "base URL" not in explain(path)
    assert normalise(b"//") == b"/"


def test_other_apis_of_openai() -> None:
    """They are told what Briggs answers; what is below a path of Briggs's is not."""
    for path in (
        *("/v1/assistants", "/audio/speech", "/v1/files/id", "/v1/response", "/v1/rerank"),
        *("/v1beta/models/gemini-3-pro:generateContent", "/api/pull", "/openai/deployments"),
    ):
        assert "Briggs answers /v1/chat/completions, /v1/embeddings. Most clients" in explain(path)
    for path in ("/nothing", "/api/v1/completions/id/nothing", "/v1/chat/completions/id/files"):
        assert explain(path).endswith(f"at {path}.")


@pytest.mark.parametrize("signal", ["logs", "metrics"])
def test_what_exporters_send_beside_traces(signal: str) -> None:
    """They are told which variable stops it."""
    assert f"set OTEL_{signal.upper()}_EXPORTER=none." in explain(f"/v1/{signal}")


def test_clients_that_add_the_version() -> None:
    """Clients of Anthropic and of Ollama take the address alone."""
    for path in ("/v1/v1/messages", "/v1/api/chat"):
        assert "set its base URL to http://here, without /v1" in explain(path)


def explain(path: str) -> str:
    answered = ["/v1/chat/completions", "/v1/embeddings"]
    return explain_missing(path, address="http://here", answered=answered)


def test_methods_that_a_path_has(server: Server) -> None:
    """All methods of a path are named, whichever rows of the table they are in."""
    reply = server.send("PUT", f"{CHAT}/id")
    assert (reply.status, reply.headers["allow"]) == (405, "DELETE, GET, HEAD, POST")
    assert "DELETE, GET, HEAD, POST" in reply.json["error"]["message"]


def test_every_answer_has_a_name(server: Server) -> None:
    """Answers, errors and refusals of what is not HTTP have an `x-request-id` of their own."""
    replies = [
        server.send("GET", "/health", key=None),
        server.send("GET", "/v1/models"),
        server.send("GET", "/v1/models", key=None),
        server.send("GET", "/nothing"),
        server.send("PATCH", "/v1/models"),
        server.send("GET", "/api/v1/sessions?limit=x"),
        server.send("POST", "/graphql", b"{"),
        server.send("POST", CHAT, REQUEST),
        server.send("POST", CHAT, b"{"),
        server.send("POST", CHAT, REQUEST, key=None),
        server.send("GET", "/v1/models", headers={"expect": "200-ok"}),
    ]
    names = {reply.headers["x-request-id"] for reply in replies}
    assert len(names) == len(replies)
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"this is not HTTP\r\n\r\n")
        assert b"\r\nx-request-id: req_" in connection.recv(65536)


@pytest.mark.parametrize("digits", ["9" * 5000, "9" * 400, "-1", "1.5", "\u00b2", ""])
@pytest.mark.parametrize(
    "path",
    [
        f"{CHAT}?limit=",
        f"{CHAT}/no-id/messages?limit=",
        "/api/v1/sessions?limit=",
        "/api/v1/sessions?offset=",
        "/api/completions?organization_id=default&limit=",
        "/api/v1/feedback?limit=",
        "/api/v1/feedback?offset=",
        "/api/v1/feedback_task?limit=",
        "/api/v1/test_runs?limit=",
    ],
)
def test_numbers_of_a_query(server: Server, path: str, digits: str) -> None:
    """A value that is not a number, or has too many digits, is refused by name."""
    reply = server.send("GET", path + quote(digits))
    assert reply.status in (400, 404), reply.body
    assert "Traceback" not in reply.body.decode()


def test_numbers_with_zeros(server: Server) -> None:
    """Leading zeros change nothing, however many there are."""
    reply = server.send("GET", f"{CHAT}?limit={'0' * 5000}1")
    assert (reply.status, len(reply.json["data"]) <= 1) == (200, True)


def test_numbers_of_graphql(server: Server) -> None:
    """A number with thousands of digits is the caller's error, not the server's."""
    query = '{organization(id: "default") {feedbackV2(page: %s) {pageInfo {totalCount}}}}'
    for digits in ("9" * 5000, "-" + "9" * 5000, "9" * 30):
        reply = server.send("POST", "/graphql", {"query": query % digits})
        [error] = reply.json["errors"]
        assert "digits" in error["message"]
