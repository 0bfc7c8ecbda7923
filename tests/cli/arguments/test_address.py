"""The server and the key that a command uses, and the error if there is none."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from briggs.cli.arguments.address import find_server
from briggs.types.address import DEFAULT_URL, Address
from tests.cli.running import RunningServer, run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder whose server has an unusual address."""
    (tmp_path / "server.url").write_text("http://10.0.0.7:4000\n")
    (tmp_path / "admin.key").write_text("sk-briggs-first\n")
    return tmp_path


def test_the_folder_says_where_and_how(folder: Path) -> None:
    """Without options, the data folder's address and key are used."""
    found = find_server(url=None, api_key=None, data=folder)
    assert found == Address("http://10.0.0.7:4000", "sk-briggs-first")


def test_options_come_first(folder: Path) -> None:
    """A given address and key are used, without a trailing `/v1`."""
    found = find_server(url="https://briggs.example/v1/", api_key="sk-mine", data=folder)
    assert found == Address("https://briggs.example", "sk-mine")


def test_an_empty_folder_means_the_default(tmp_path: Path) -> None:
    """Without any settings, it is the default port of this machine and no key."""
    assert find_server(url=None, api_key=None, data=tmp_path) == Address(DEFAULT_URL, None)


def test_the_folders_key_goes_to_no_stranger(folder: Path) -> None:
    """The data folder's key is sent only to its own server and to this machine."""

    def key_for(url: str) -> str | None:
        return find_server(url=url, api_key=None, data=folder).api_key

    assert key_for("http://localhost:10100") == "sk-briggs-first"
    assert key_for("http://10.0.0.7:4000/v1") == "sk-briggs-first"
    assert key_for("https://briggs.example") is None
    assert key_for("http://127.0.0.1.example") is None


@pytest.mark.parametrize(
    "url", ["localhost:10100", "http://", "http://:x", "http://127.0.0.1:99999", "http://[::1"]
)
def test_what_is_no_address_is_a_usage_error(tmp_path: Path, url: str) -> None:
    """An invalid address is refused, with an example of a valid one."""
    with pytest.raises(click.UsageError, match="http://127"):
        find_server(url=url, api_key=None, data=tmp_path)


def test_nobody_there_says_how_to_start_one(tmp_path: Path) -> None:
    """If no server answers, the error names the address and how to start one."""
    done = run("models", "--url=http://127.0.0.1:9", BRIGGS_DATA=str(tmp_path))
    said = "no Briggs server answers at http://127.0.0.1:9: start one with `briggs serve`"
    assert done == (1, "", f"Error: {said}\n")


def test_https_to_a_server_that_speaks_http(server: RunningServer, tmp_path: Path) -> None:
    """A server runs there, so the error does not ask for one; it says what went wrong."""
    url = server.url.replace("http:", "https:")
    done = run("models", f"--url={url}", BRIGGS_DATA=str(tmp_path))
    assert done.status == 1
    assert "Briggs speaks http, not https" in done.errors
    assert "briggs serve" not in done.errors


def test_a_folder_that_cannot_be_a_data_folder(tmp_path: Path) -> None:
    """The error names the folder, not the port."""
    (tmp_path / "file").touch()
    done = run("serve", "--port=0", f"--data={tmp_path}/file/data")
    said = f"{tmp_path}/file/data cannot be a data folder: Not a directory"
    assert done == (1, "", f"Error: {said}. Choose another with --data\n")


def test_no_key_says_where_keys_come_from(server: RunningServer, tmp_path: Path) -> None:
    """If the key is missing, the error says how to give one."""
    done = run("models", f"--url={server.url}", BRIGGS_DATA=str(tmp_path))
    assert done.status == 1
    assert "--api-key" in done.errors
    assert "BRIGGS_API_KEY" in done.errors
    assert len(done.errors.splitlines()) == 1


def test_variables_do_what_options_do(server: RunningServer, tmp_path: Path) -> None:
    """`BRIGGS_URL` and `BRIGGS_API_KEY` are enough."""
    done = run(
        "models",
        BRIGGS_DATA=str(tmp_path),
        BRIGGS_URL=f"{server.url}/v1",
        BRIGGS_API_KEY=server.api_key,
    )
    assert done.status == 0
