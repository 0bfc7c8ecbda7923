"""`briggs rules`, and completions by rule."""

from __future__ import annotations

from briggs.rules import RULES
from tests.cli.running import RunningServer, run, show


def test_the_book_is_lines_of_json_in_a_pipe() -> None:
    """Every rule is one line with all that is known of it, in the book's order."""
    lines = run("rules").lines
    assert [line["id"] for line in lines] == list(RULES)
    assert set(lines[0]) == {"id", "severity", "title", "basis", "fix", "subject"}


def test_the_book_is_a_table_on_a_terminal(server: RunningServer) -> None:
    """The table has every rule, its severity and what must be true."""
    status, shown = show("rules", server=server, NO_COLOR="1")
    assert status == 0
    assert all(f"\n{id} " in shown.replace("\r", "") for id in RULES)
    assert "`id` is a non-empty string." in shown


def test_one_rule_is_shown_whole(server: RunningServer) -> None:
    """The reason, what it applies to, and what is mended; the id may be in any case."""
    (line,) = run("rules", "c3").lines
    assert line["id"] == "C3"
    status, shown = show("rules", "C3", "S1", server=server, NO_COLOR="1")
    assert status == 0
    assert "reason" in shown
    assert "native_finish_reason" in shown
    assert "mended" in shown


def test_an_unknown_rule_is_wrong_usage() -> None:
    """The error is one line, and says where the rules are listed."""
    done = run("rules", "C99")
    assert done.status == 2
    assert "there is no rule C99: briggs rules lists them" in done.errors


def test_completions_are_listed_by_rule(server: RunningServer) -> None:
    """`--violates` lists the calls whose answer breaks the rule; twice, both."""
    run("chat", "--model", "mine/cut", "--tag", "by-rule", "hi", server=server)
    options = ["--tag", "by-rule", "--violates", "S3"]
    (found,) = run("completions", "list", *options, server=server).lines
    assert "S3" in found["briggs"]["violates"]
    status, shown = show("completions", "get", found["id"], server=server, NO_COLOR="1")
    assert status == 0
    assert "S3, S6" in shown
    both = run("completions", "list", "--violates", "S3", "--violates", "C3", server=server)
    assert both.lines == []
    refused = run("completions", "list", "--violates", "C99", server=server)
    assert refused.status == 1
    assert "C99" in refused.errors
