"""The files of deploy/ work: proxies in front of a real Briggs, the unit, a restored backup."""

from __future__ import annotations

import contextlib
import getpass
import http.client
import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import trustme

from tests.ports import find_free_port
from tests.processes import Server, Upstream, create_chunk, create_response, run_server
from tests.test_docs import read_blocks
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
NAME = "briggs.example.com"
REQUEST = {"model": "waits/m-1", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
LIST = "/v1/chat/completions"
START_TIMEOUT_S = 30


class Waiting:
    """An upstream that sends one chunk, and the rest when it is told to."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def __call__(self, handler: Any, seen: Any) -> None:
        handler.begin_stream()
        handler.write_piece(create_chunk({"role": "assistant", "content": "Hello"}))
        if not self.go_on.wait(PATIENCE_S):
            return
        handler.write_piece(create_chunk({}, finish_reason="stop"))
        handler.write_piece(b"data: [DONE]\n\n")
        handler.write_piece(b"")


@contextlib.contextmanager
def run_nginx(folder: Path, *, briggs: Server, port: int, certificate: Path) -> Iterator[None]:
    """Run nginx with the file of deploy/, as Debian's nginx.conf includes it."""
    site = (DEPLOY / "nginx.conf").read_text()
    for printed, real in {
        "127.0.0.1:10100": f"127.0.0.1:{briggs.port}",
        "listen 443": f"listen 127.0.0.1:{port}",
        f"/etc/letsencrypt/live/{NAME}/fullchain.pem": str(certificate),
        f"/etc/letsencrypt/live/{NAME}/privkey.pem": str(certificate),
    }.items():
        assert printed in site, printed
        site = site.replace(printed, real)
    (folder / "site.conf").write_text(site)
    kept = "".join(
        f"{kind}_temp_path {folder / kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "main.conf").write_text(
        f"user {getpass.getuser()};\ndaemon off;\npid {folder / 'pid'};\nerror_log stderr;\n"
        f"events {{}}\nhttp {{ access_log off; {kept} include {folder / 'site.conf'}; }}\n"
    )
    with _running(folder, port, "nginx", "-e", "stderr", "-c", str(folder / "main.conf")):
        yield


@contextlib.contextmanager
def run_caddy(folder: Path, *, briggs: Server, port: int, certificate: Path) -> Iterator[None]:
    """Run Caddy with the file of deploy/, which gets a certificate of the test's."""
    site = (DEPLOY / "Caddyfile").read_text()
    for printed, real in {
        "127.0.0.1:10100": f"127.0.0.1:{briggs.port}",
        f"{NAME} {{": f"https://{NAME}:{port} {{\n\tbind 127.0.0.1\n"
        f"\ttls {certificate} {certificate}",
    }.items():
        assert printed in site, printed
        site = site.replace(printed, real)
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n\tauto_https off\n}}\n{site}")
    with _running(folder, port, "caddy", "run", "--config", str(folder / "Caddyfile")):
        yield


@contextlib.contextmanager
def _running(folder: Path, port: int, *command: str) -> Iterator[None]:
    log = folder / "proxy.log"
    with log.open("w") as written:
        process = subprocess.Popen(
            command,
            env={"HOME": str(folder), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
        )
    try:
        end = time.monotonic() + START_TIMEOUT_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            assert process.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)


PROXIES = {"nginx": run_nginx, "caddy": run_caddy}


class Proxied(http.client.HTTPSConnection):
    """A connection to the proxy by its name, which no name server knows."""

    def __init__(self, port: int, *, context: ssl.SSLContext) -> None:
        super().__init__(NAME, port, timeout=PATIENCE_S, context=context)
        self._context_given = context

    def connect(self) -> None:
        plain = socket.create_connection(("127.0.0.1", self.port or 0), timeout=PATIENCE_S)
        self.sock = self._context_given.wrap_socket(plain, server_hostname=NAME)


def sign_in(port: int, *, context: ssl.SSLContext, key: str) -> None:
    """Sign in as a browser does. The cookie is for TLS alone."""
    headers = {"accept": "text/html", "origin": f"https://{NAME}:{port}"}
    with contextlib.closing(Proxied(port, context=context)) as connection:
        connection.request("GET", "/sign-in", headers=headers)
        with connection.getresponse() as shown:
            cookie = shown.headers["set-cookie"]
            token = re.search(rb'"csrf" value="([^"]+)', shown.read())
        assert "Secure" in cookie
        assert token is not None
        headers["cookie"] = cookie.partition(";")[0]
        headers["content-type"] = "application/x-www-form-urlencoded"
        form = urlencode({"csrf": token[1].decode(), "key": key})
        connection.request("POST", "/sign-in", body=form, headers=headers)
        with connection.getresponse() as signed_in:
            assert signed_in.status == 303


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_proxy_passes_everything_on(proxy: str, tmp_path: Path) -> None:
    """Behind a proxy, Host is ours, a browser signs in, a stream comes chunk by chunk, and a
    hang-up arrives.
    """
    if shutil.which(proxy, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
        pytest.skip(f"{proxy} is not installed")
    authority = trustme.CA()
    certificate = tmp_path / "certificate.pem"
    authority.issue_cert(NAME).private_key_and_cert_chain_pem.write_to_path(str(certificate))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    port = find_free_port()
    waiting = Waiting()
    upstream = Upstream({"waits": waiting})
    config = f'hosts = ["{NAME}"]\n[limits]\n{upstream.config()}'
    with (
        contextlib.closing(upstream),
        run_server(tmp_path / "data", config=config) as briggs,
        PROXIES[proxy](tmp_path, briggs=briggs, port=port, certificate=certificate),
    ):

        def ask() -> tuple[Proxied, http.client.HTTPResponse]:
            connection = Proxied(port, context=context)
            headers = {"authorization": f"Bearer {briggs.key}", "content-type": "application/json"}
            connection.request("POST", LIST, body=json.dumps(REQUEST), headers=headers)
            return connection, connection.getresponse()

        sign_in(port, context=context, key=briggs.key)
        connection, response = ask()
        assert response.status == 200, response.read()
        # The upstream waits for us: a proxy that collects the answer would never send this.
        assert b"Hello" in response.readline()
        waiting.go_on.set()
        assert response.read().endswith(b"data: [DONE]\n\n")
        connection.close()

        waiting.go_on.clear()
        connection, response = ask()
        assert b"Hello" in response.readline()
        id = response.headers["x-briggs-completion-id"]
        response.close()
        connection.close()
        end = time.monotonic() + PATIENCE_S / 2
        # A call is in the list of failed ones as soon as Briggs has noticed.
        while not (failed := briggs.send("GET", f"{LIST}?status=failed").json["data"]):
            assert time.monotonic() < end, "the proxy did not close its connection"
            time.sleep(0.05)
        assert [(one["id"], one["briggs"]["failure_kind"]) for one in failed] == [(id, "hang_up")]


def test_the_unit_is_valid(tmp_path: Path) -> None:
    """systemd finds nothing wrong with the unit."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    unit = (DEPLOY / "briggs.service").read_text()
    assert "/opt/briggs/bin/briggs" in unit
    path = tmp_path / "briggs.service"
    path.write_text(unit.replace("/opt/briggs/bin/briggs", str(Path(sys.executable))))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_backup_is_restored(tmp_path: Path) -> None:
    """The page's commands copy a running server's record, and bring it back."""
    blocks = read_blocks(ROOT / "docs/deployment.md")
    [backup] = [
        block.text
        for block in blocks
        if block.text.startswith("briggs backup") and "$(date" in block.text
    ]
    [restore] = [block.text for block in blocks if "bin/briggs restore" in block.text]
    programs, data = tmp_path / "programs", tmp_path / "data"
    programs.mkdir()
    (programs / "systemctl").write_text("#!/bin/bash\nexit 0\n")
    (programs / "systemctl").chmod(0o755)
    (programs / "briggs").write_text(f'#!/bin/bash\nexec {sys.executable} -m briggs "$@"\n')
    (programs / "briggs").chmod(0o755)

    def type_in(lines: str) -> None:
        variables = {
            "BRIGGS_DATA": str(data),
            "HOME": str(tmp_path),
            "PATH": f"{programs}:/usr/bin:/bin",
        }
        subprocess.run(["bash", "-euc", lines], cwd=tmp_path, env=variables, check=True)

    upstream = Upstream({"answers": lambda handler, _: handler.send_whole(200, answer)})
    answer = json.dumps(create_response()).encode()
    request = {**REQUEST, "model": "answers/m-1", "stream": False}
    with contextlib.closing(upstream):
        with run_server(data, config=upstream.config()) as server:
            kept = server.chat(request).headers["x-briggs-completion-id"]
            type_in(backup)
            lost = server.chat(request).headers["x-briggs-completion-id"]
        [copy] = tmp_path.glob("briggs-*.db")
        assert copy.stat().st_mode & 0o077 == 0
        for printed, real in {
            "/opt/briggs/bin/": "",
            "/var/lib/briggs": str(data),
            "briggs-2026-11-29.db": copy.name,
        }.items():
            assert printed in restore, printed
            restore = restore.replace(printed, real)
        # What a server that was killed leaves: a log that is not of the copy.
        (data / "briggs.db-wal").write_bytes(b"old")
        type_in(restore)
        with run_server(data, config=upstream.config()) as server:
            assert server.retrieve(kept)["id"] == kept
            assert server.send("GET", f"/v1/chat/completions/{lost}").status == 404
