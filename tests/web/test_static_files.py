"""The pages' own files: where they are, how long they are kept, and how large they are."""

from __future__ import annotations

import gzip
import re

import brotli
import pytest

from briggs.web import static_files
from tests.processes import Server

PATH = static_files.address("css/base.css")
KB = 1000


def test_a_file_is_kept_for_a_year(server: Server) -> None:
    """The address has a hash of the content, so a browser need never ask again."""
    reply = server.send("GET", PATH, key=None)
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/css")
    assert "immutable" in reply.headers["cache-control"]
    again = server.send("GET", PATH, headers={"if-none-match": reply.headers["etag"]}, key=None)
    assert (again.status, again.body) == (304, b"")


def test_a_file_is_compressed(server: Server) -> None:
    """A browser gets the best encoding that it reads, and each is the same file."""
    plain = server.send("GET", PATH, key=None).body
    for accepted, decode in (("gzip, br", brotli.decompress), ("gzip", gzip.decompress)):
        reply = server.send("GET", PATH, headers={"accept-encoding": accepted}, key=None)
        assert reply.headers["content-encoding"] == accepted[-2:].strip() or accepted == "gzip"
        assert decode(reply.body) == plain
        assert reply.headers["vary"] == "accept-encoding"


def test_an_old_address_has_the_new_file(server: Server) -> None:
    """A page from before an update still works, and its files are not kept under the old name."""
    reply = server.send("GET", "/static/000000000000/css/base.css", key=None)
    assert (reply.status, reply.headers["cache-control"]) == (200, "no-cache")


@pytest.mark.parametrize(
    "path", ["x.css", "../site.py", "%2e%2e/site.py", "css/../../site.py", "/etc/passwd", "css"]
)
def test_nothing_else_is_a_file(server: Server, path: str) -> None:
    """Only the files of the pages are there."""
    assert server.send("GET", f"/static/x/{path}", key=None).status == 404


def test_all_scripts_are_small() -> None:
    """All JavaScript together is under 80 KB as it is sent."""
    sent = [
        len(gzip.compress(file.body, 9))
        for path, file in static_files.read_files().items()
        if path.endswith(".js")
    ]
    assert sum(sent) < 80 * KB


def test_vendored_files_have_their_licences() -> None:
    """Each file of another project has its licence beside it, and is named in the list."""
    files = static_files.read_files()
    listed = files["vendor/README.md"].body.decode()
    for path in files:
        if path.startswith("vendor/") and not path.endswith((".md", ".LICENSE")):
            name = path.removeprefix("vendor/")
            assert f"`{name}`" in listed
            assert f"vendor/{name.partition('-')[0]}.LICENSE" in files


def test_themes_differ_in_colours_only() -> None:
    """No style and no script asks for the theme. So `tests/web/browser` checks the rules that are
    not about colours in one theme.
    """
    files = {
        path: file.body.decode()
        for path, file in static_files.read_files().items()
        if path.endswith((".css", ".js")) and not path.startswith("vendor/")
    }
    assert not [path for path, text in files.items() if "prefers-color-scheme" in text]
    themed = [line for text in files.values() for line in re.findall("data-theme=.*", text)]
    assert len(themed) == 2
    assert all(re.fullmatch(r'data-theme="(\w+)"\] \{ color-scheme: \1; \}', it) for it in themed)
