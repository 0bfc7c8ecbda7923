"""`briggs serve`, when it cannot start."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.cli.running import run


def test_a_data_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """The error names the folder, and does not blame the port."""
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "data"
    done = run("serve", "--port=0", "--data", str(folder))
    assert done.status == 1
    assert done.errors.startswith(f"Error: {folder} cannot be a data folder: Not a directory")


def test_a_port_that_is_in_use(tmp_path: Path) -> None:
    """The error names the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", f"--port={port}", "--data", str(tmp_path))
    said = f"Error: cannot listen on 127.0.0.1:{port}: Address already in use"
    assert done.status == 1
    assert done.errors.startswith(said)


def test_a_database_that_is_not_one(tmp_path: Path) -> None:
    """The error says what to do."""
    (tmp_path / "briggs.db").write_bytes(b"not a database" * 1000)
    done = run("serve", "--port=0", "--data", str(tmp_path))
    assert done.status == 1
    assert "the file is not a database (stop the server and restore a backup)" in done.errors
