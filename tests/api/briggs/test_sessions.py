"""Sessions as Log10's clients create them."""

from __future__ import annotations

import uuid

from tests.processes import Server


def test_sessions_are_made(log10: Server) -> None:
    """The legacy API answers with `sessionID`, v1 with a 201. Both accept an empty body."""
    legacy = log10.send("POST", "/api/sessions", {"organization_id": "default"})
    assert isinstance(legacy.json["sessionID"], str)
    made = log10.send("POST", "/api/v1/sessions", b"", headers={"x-log10-organization": "default"})
    assert made.status == 201
    assert made.headers["content-type"] == "application/json"
    assert set(made.json) == {"session"}
    listed = [each["id"] for each in log10.send("GET", "/api/v1/sessions").json["data"]]
    assert {legacy.json["sessionID"], made.json["session"]["id"]} <= set(listed)


def test_a_session_of_a_clients_own(log10: Server) -> None:
    """A session that nobody created exists once a completion names it."""
    session = str(uuid.uuid4())
    for status in ("finished", "failed"):
        body = {"status": status, "session_id": session, "duration": 250}
        log10.send("POST", f"/api/completions/{uuid.uuid4()}", body)
    found = log10.send("GET", f"/api/v1/sessions/{session}").json
    assert [each["status"] for each in found["completions"]] == ["finished", "failed"]
    totals = found["totals"]
    assert (totals["completions"], totals["failed"], totals["duration_ms"]) == (2, 1, 500)


def test_no_session(log10: Server, acme: str) -> None:
    """A session that does not exist, or is another organization's, is not found."""
    made = log10.send("POST", "/api/v1/sessions", b"").json["session"]["id"]
    for id, key in (("none", ""), (made, acme)):
        assert log10.send("GET", f"/api/v1/sessions/{id}", key=key).status == 404
