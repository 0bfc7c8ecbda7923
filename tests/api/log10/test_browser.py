"""The pages that Log10's clients print links to."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.processes import Server


def test_the_address_of_a_completion(log10: Server) -> None:
    """A link leads to a page with the id and the command, and nothing of the record."""
    moved = log10.send("GET", "/app/default/completions/some%20id", key=None)
    assert moved.status == 302
    assert moved.headers["location"] == "/app/default/completions?id=some%20id"
    page = log10.send("GET", moved.headers["location"], key=None)
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"briggs completions get some%20id" in page.body
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


def test_the_address_of_a_test_run(log10: Server) -> None:
    """A link leads to a page with the id and how to read the report."""
    page = log10.send("GET", "/app/default/evaluations?id=run-1", key=None)
    assert page.status == 200
    assert f"{log10.url}/api/v1/test_runs/run-1".encode() in page.body


@pytest.mark.parametrize("noun", ["completions", "evaluations"])
@pytest.mark.parametrize("id", ["<script>alert(1)</script>", "'; rm -rf ~ #", '"><b>', ""])
def test_an_id_is_no_markup(log10: Server, noun: str, id: str) -> None:
    """An id is never treated as markup or as a shell command, whatever it contains."""
    page = log10.send("GET", f"/app/default/{noun}?id={quote(id)}", key=None)
    assert page.status == 200
    for piece in (b"<script", b"; rm", b"<b>"):
        assert piece not in page.body
