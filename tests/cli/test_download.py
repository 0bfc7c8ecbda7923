"""`briggs completions download`."""

from __future__ import annotations

import json
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import RunningServer, create_completions, environment, run, show
from tests.waiting import PATIENCE_S


def test_a_file_holds_all_of_them(server: RunningServer, tmp_path: Path) -> None:
    """Each completion is a line, oldest first, over several pages. No other file remains."""
    ids = create_completions(server, *map(str, range(120)), session_id="download")
    file = tmp_path / "all.jsonl"
    done = run("completions", "download", str(file), "--session=download", server=server)
    assert done == (0, "", f"120 completions in {file}.\n")
    items = [json.loads(line) for line in file.read_text().splitlines()]
    assert [item["id"] for item in items] == ids
    assert items[7]["briggs"]["request"]["messages"][0]["content"] == "7"
    assert list(tmp_path.iterdir()) == [file]
    assert stat.S_IMODE(file.stat().st_mode) & 0o600 == 0o600
    assert not file.stat().st_mode & 0o111


def test_a_dash_is_standard_output(server: RunningServer) -> None:
    """`-` writes the lines to standard output, and their number to standard error."""
    create_completions(server, "a", "b", "c", session_id="dash")
    done = run("completions", "download", "-", "--session=dash", "--limit=2", server=server)
    assert len(done.lines) == 2
    assert done.errors == "2 completions.\n"


def test_the_file_may_be_an_option(server: RunningServer, tmp_path: Path) -> None:
    """`-f` also names the file, and without either it is standard output. An offset skips some."""
    ids = create_completions(server, "1", "2", "3", session_id="option")
    page = ["--session=option", "--offset=1", "--limit=1"]
    done = run("completions", "download", *page, server=server)
    assert [item["id"] for item in done.lines] == [ids[1]]
    file = tmp_path / "page.jsonl"
    assert run("completions", "download", "-f", str(file), *page, server=server).status == 0
    assert file.read_text() == done.output


def test_only_what_finished_by_default(server: RunningServer) -> None:
    """Failed calls are downloaded only on request."""
    run("chat", "x", "--model=mine/refuses", "--session=download-failed", server=server)
    options = ["completions", "download", "-", "--session=download-failed"]
    assert run(*options, server=server).lines == []
    assert len(run(*options, "--status=any", server=server).lines) == 1


def test_a_download_that_fails_leaves_what_was_there(server: RunningServer, tmp_path: Path) -> None:
    """The file is replaced only when the download is complete."""
    file = tmp_path / "old.jsonl"
    file.write_text("old")
    failed = run("completions", "download", str(file), "--url=http://127.0.0.1:9", server=server)
    assert failed.status == 1
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_that_is_not_there_is_one_line(server: RunningServer, tmp_path: Path) -> None:
    """If the file cannot be written, the error names it."""
    done = run("completions", "download", str(tmp_path / "no" / "x.jsonl"), server=server)
    assert done.status == 1
    assert "No such file or directory" in done.errors
    assert len(done.errors.splitlines()) == 1


@pytest.mark.parametrize("name", ["x.jsonl", "x.csv"])
def test_a_disk_that_fills_up_names_the_file(
    server: RunningServer, tmp_path: Path, name: str
) -> None:
    """A write that fails in the middle names the file, and leaves nothing."""
    create_completions(server, *["x" * 5_000] * 5, session_id="fills")
    file = tmp_path / name
    done = subprocess.run(
        [sys.executable, "-m", "briggs", "completions", "download", str(file), "--session=fills"],
        env=environment(BRIGGS_DATA=str(server.data)),
        capture_output=True,
        timeout=PATIENCE_S,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500)),
    )
    assert done.returncode == 1
    assert done.stderr.decode() == f"Error: {file}: File too large\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_terminal_shows_a_bar(server: RunningServer, tmp_path: Path, order: str) -> None:
    """On a terminal, a progress bar reaches its end."""
    create_completions(server, *map(str, range(5)), session_id=f"bar-{order}")
    options = [f"--session=bar-{order}", f"--order={order}"]
    status, shown = show("completions", "download", str(tmp_path / "x"), *options, server=server)
    assert status == 0
    assert "100%" in shown
    assert "5 completions in" in shown
