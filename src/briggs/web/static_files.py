"""The pages' own files, read once, compressed once, and kept by browsers for a year."""

from __future__ import annotations

import functools
import gzip
import hashlib
import mimetypes
from pathlib import Path
from typing import NamedTuple

import brotli
from starlette.requests import Request
from starlette.responses import Response

from briggs.types.errors import NotFound

FOLDER = Path(__file__).parent / "static"

_FOREVER = "public, max-age=31536000, immutable"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


class File(NamedTuple):
    """One file as it is sent."""

    body: bytes
    type: str


@functools.cache
def read_files() -> dict[str, File]:
    """Every file by its path below `static/`."""
    return {
        path.relative_to(FOLDER).as_posix(): File(path.read_bytes(), _name_type(path))
        for path in sorted(FOLDER.rglob("*"))
        if path.is_file()
    }


@functools.cache
def version() -> str:
    """A hash of all files. It is part of their address, so that a new file is a new address."""
    digest = hashlib.sha256()
    for path, file in read_files().items():
        digest.update(path.encode() + b"\0" + hashlib.sha256(file.body).digest())
    return digest.hexdigest()[:12]


def address(path: str) -> str:
    """The address of a file."""
    assert path in read_files(), f"there is no file {path}"
    return f"/static/{version()}/{path}"


async def send_file(request: Request) -> Response:
    """`GET /static/{version}/{path}`: one file, compressed if the browser reads that."""
    path, asked = request.path_params["path"], request.path_params["version"]
    file = read_files().get(path)
    if file is None:
        raise NotFound(f"There is no file {path}.")
    tag = f'"{version()}"'
    is_current = asked == version()
    headers = {
        "cache-control": _FOREVER if is_current else "no-cache",
        "etag": tag,
        "vary": "accept-encoding",
    }
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    body, encoding = _compress(path, request.headers.get("accept-encoding", ""))
    if encoding:
        headers["content-encoding"] = encoding
    return Response(body, headers=headers, media_type=file.type)


def _compress(path: str, accepted: str) -> tuple[bytes, str]:
    names = [name.partition(";")[0].strip() for name in accepted.split(",")]
    encoding = next((name for name in ("br", "gzip") if name in names), "")
    return _encode(path, encoding), encoding


@functools.cache
def _encode(path: str, encoding: str) -> bytes:
    body = read_files()[path].body
    if encoding == "br":
        compressed: bytes = brotli.compress(body, quality=9)
        return compressed
    return gzip.compress(body, 9, mtime=0) if encoding == "gzip" else body


def _name_type(path: Path) -> str:
    return _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "text/plain"
