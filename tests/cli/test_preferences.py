"""`briggs preferences`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.running import RunningServer, create_completions, run


def test_a_preference_is_created_and_its_pair_downloaded(
    server: RunningServer, tmp_path: Path
) -> None:
    """Completions are named by the ends of their ids; the file has a pair."""
    a, b = create_completions(server, "same", "same", tags=["preferred"])
    made = run("preferences", "create", a[-8:], b[-8:], "--best", b[-8:], server=server)
    assert made.status == 0, made.errors
    assert made.lines[0]["json_values"] == {"best": b}
    file = tmp_path / "pairs.jsonl"
    ended = run("preferences", "download", str(file), server=server)
    # Other tests give preferences too.
    pairs = [json.loads(line) for line in file.read_text().splitlines()]
    assert f"{len(pairs)} pairs in" in ended.errors
    assert [pair["rejected_id"] for pair in pairs if pair["chosen_id"] == b] == [a]
    listed = run("feedback", "list", "--task", "Preference", server=server).lines
    assert made.lines[0]["id"] in [each["id"] for each in listed]


def test_none_may_be_better(server: RunningServer) -> None:
    """Either one is best, or none is; not both and not neither."""
    a, b = create_completions(server, "same", "same", tags=["tied"])
    made = run("preferences", "create", a, b, "--none", "--comment", "equal", server=server)
    assert made.lines[0]["json_values"] == {"best": None}
    for options in ([], ["--best", a, "--none"]):
        wrong = run("preferences", "create", a, b, *options, server=server)
        assert wrong.status == 2 and "either --best ID or --none" in wrong.errors
