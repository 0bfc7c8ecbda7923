"""The pages that Log10's clients print links to."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.processes import Server


@pytest.mark.parametrize("path", ["completions/some%20id", "completions?id=some%20id"])
def test_the_address_of_a_completion(log10: Server, path: str) -> None:
    """A link leads to the page of the completion."""
    moved = log10.send("GET", f"/app/default/{path}", key=None)
    assert (moved.status, moved.headers["location"]) == (302, "/completions/some%20id")


@pytest.mark.parametrize("id", ["//evil.example", "https://evil.example", "a\r\nset-cookie: x=y"])
def test_an_id_leads_nowhere_else(log10: Server, id: str) -> None:
    """Whatever the id is, the link stays on this server."""
    moved = log10.send("GET", f"/app/default/completions?id={quote(id, safe='')}", key=None)
    assert moved.headers["location"] == f"/completions/{quote(id, safe='')}"
    assert "set-cookie" not in moved.headers


def test_the_address_of_a_test_run(log10: Server) -> None:
    """A link leads to a page with the id and how to read the report."""
    page = log10.send("GET", "/app/default/evaluations?id=run-1", key=None)
    assert page.status == 200
    assert f"{log10.url}/api/v1/test_runs/run-1".encode() in page.body


@pytest.mark.parametrize("id", ["<script>alert(1)</script>", "'; rm -rf ~ #", '"><b>', ""])
def test_an_id_is_no_markup(log10: Server, id: str) -> None:
    """An id is never treated as markup or as a shell command, whatever it contains."""
    page = log10.send("GET", f"/app/default/evaluations?id={quote(id)}", key=None)
    assert page.status == 200
    for piece in (b"<script", b"; rm", b"<b>"):
        assert piece not in page.body
