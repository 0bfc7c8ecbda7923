"""The targets of the bench: how to start each, how to call it, and its version."""

from __future__ import annotations

import json
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
ENVIRONMENTS = REPOSITORY / ".venvs"
UPSTREAM_KEY = "mock-key"
UPSTREAM_MODEL = "gpt-bench"


@dataclass(frozen=True)
class Launch:
    """How to start a target in its folder, and how to request a completion from it."""

    command: tuple[str, ...] = ()
    """Empty for the upstream itself, which is already running."""
    port: int | None = None
    """None if the target chooses a free port and prints its address."""
    environment: Mapping[str, str] = field(default_factory=dict)
    path: str = "/v1/chat/completions"
    model: str = UPSTREAM_MODEL
    read_headers: Callable[[], dict[str, str]] = lambda: {"Authorization": f"Bearer {UPSTREAM_KEY}"}
    """Called when the target listens."""


@dataclass(frozen=True)
class Target:
    """One row of the table."""

    name: str
    prepare: Callable[[Path, int], Launch]
    """Writes the target's files into an empty folder, given the upstream's port."""
    read_version: Callable[[], str | None]
    """Returns None if the target is not installed."""
    how_to_install: str = ""
    count_records: Callable[[Path], dict[str, int]] | None = None
    """Counts the records by status in a stopped target's folder. None if it keeps none."""


# ---- Direct and nginx -----------------------------------------------------------------------


def prepare_direct(folder: Path, upstream_port: int) -> Launch:
    return Launch(port=upstream_port)


def prepare_nginx(folder: Path, upstream_port: int) -> Launch:
    """One worker, persistent connections on both sides, no buffering, no logs."""
    port = find_free_port()
    upstream = f"""\
  upstream mock {{
    server 127.0.0.1:{upstream_port};
    keepalive 256;
    keepalive_requests 1000000000;
  }}
"""
    location = """\
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;"""
    return Launch(
        command=command_nginx(folder, port=port, location=location, upstream=upstream), port=port
    )


def command_nginx(folder: Path, *, port: int, location: str, upstream: str = "") -> tuple[str, ...]:
    """Write the configuration of an nginx that listens on a port, and return its command."""
    temporary = "".join(
        f"  {kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(f"""\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
  access_log off;
{temporary}  client_max_body_size 32m;
  client_body_buffer_size 64k;
  keepalive_requests 1000000000;
{upstream}  server {{
    listen 127.0.0.1:{port};
    tcp_nodelay on;
    location / {{
{location}
    }}
  }}
}}
""")
    return (find_nginx() or "nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"))


def find_nginx() -> str | None:
    """The path of nginx. Debian installs it outside of users' PATH."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def read_nginx_version() -> str | None:
    nginx = find_nginx()
    if nginx is None:
        return None
    shown = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=True)
    return shown.stderr.strip().rpartition("/")[2]


# ---- Briggs ---------------------------------------------------------------------------------


def briggs(durability: str) -> Target:
    """The Briggs of the environment that runs the bench."""
    return Target(
        name=f"Briggs, {durability}",
        prepare=lambda folder, port: prepare_briggs(folder, port, durability=durability),
        read_version=read_briggs_version,
        how_to_install="uv sync",
        count_records=count_briggs_records,
    )


def prepare_briggs(
    folder: Path, upstream_port: int, *, durability: str, store: str = "sqlite"
) -> Launch:
    (folder / "briggs.toml").write_text(f"""\
store = "{store}"
durability = "{durability}"
[providers.mock]
kind = "openai"
base_url = "http://127.0.0.1:{upstream_port}/v1"
key_variable = "MOCK_KEY"
""")
    data = folder / "data"
    listen = ("--host", "127.0.0.1", "--port", "0")
    files = ("--data", str(data), "--config", str(folder / "briggs.toml"))
    return Launch(
        command=(sys.executable, "-m", "briggs", "serve", *listen, *files),
        environment={"MOCK_KEY": UPSTREAM_KEY},
        model=f"mock/{UPSTREAM_MODEL}",
        read_headers=lambda: {
            "Authorization": f"Bearer {(data / 'admin.key').read_text().strip()}"
        },
    )


def read_briggs_version() -> str | None:
    return read_package_version(Path(sys.executable), "briggs")


def count_briggs_records(folder: Path) -> dict[str, int]:
    with closing(sqlite3.connect(folder / "data" / "briggs.db")) as database:
        return dict(database.execute("SELECT status, count(*) FROM completions GROUP BY status"))


# ---- The peers: bench/peers.py installs them ------------------------------------------------


def prepare_litellm(folder: Path, upstream_port: int) -> Launch:
    """One worker and few logs, as LiteLLM's page on production advises. One key, no database."""
    port = find_free_port()
    key = "sk-bench"
    (folder / "config.yaml").write_text(
        json.dumps(
            {
                "model_list": [
                    {
                        "model_name": UPSTREAM_MODEL,
                        "litellm_params": {
                            "model": f"openai/{UPSTREAM_MODEL}",
                            "api_base": f"http://127.0.0.1:{upstream_port}/v1",
                            "api_key": UPSTREAM_KEY,
                        },
                    }
                ],
                "litellm_settings": {"set_verbose": False, "request_timeout": 600},
            }
        )
    )
    python = ENVIRONMENTS / "bench-litellm" / "bin"
    listen = ("--host", "127.0.0.1", "--port", str(port), "--num_workers", "1")
    return Launch(
        command=(str(python / "litellm"), "--config", str(folder / "config.yaml"), *listen),
        environment={
            "LITELLM_MASTER_KEY": key,
            "LITELLM_LOG": "ERROR",
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        },
        port=port,
        read_headers=lambda: {"Authorization": f"Bearer {key}"},
    )


def prepare_portkey(folder: Path, upstream_port: int) -> Launch:
    """The provider and its address go in headers, as Portkey's README describes."""
    port = find_free_port()
    package = ENVIRONMENTS / "bench-portkey" / "node_modules" / "@portkey-ai" / "gateway"
    return Launch(
        command=(
            "node",
            str(package / "build" / "start-server.js"),
            f"--port={port}",
            "--headless",
        ),
        environment={"NODE_ENV": "production"},
        port=port,
        read_headers=lambda: {
            "Authorization": f"Bearer {UPSTREAM_KEY}",
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"http://127.0.0.1:{upstream_port}/v1",
        },
    )


def prepare_mlflow(folder: Path, upstream_port: int) -> Launch:
    """MLflow's gateway with one endpoint, called by its OpenAI-compatible path."""
    port = find_free_port()
    (folder / "config.yaml").write_text(
        json.dumps(
            {
                "endpoints": [
                    {
                        "name": UPSTREAM_MODEL,
                        "endpoint_type": "llm/v1/chat",
                        "model": {
                            "provider": "openai",
                            "name": UPSTREAM_MODEL,
                            "config": {
                                "openai_api_base": f"http://127.0.0.1:{upstream_port}/v1",
                                "openai_api_key": UPSTREAM_KEY,
                            },
                        },
                    }
                ]
            }
        )
    )
    listen = ("--host", "127.0.0.1", "--port", str(port), "--workers", "1")
    return Launch(
        command=(
            str(ENVIRONMENTS / "bench-mlflow" / "bin" / "mlflow"),
            *("gateway", "start", "--config-path", str(folder / "config.yaml"), *listen),
        ),
        port=port,
    )


def read_portkey_version() -> str | None:
    package = ENVIRONMENTS / "bench-portkey/node_modules/@portkey-ai/gateway/package.json"
    if not package.exists():
        return None
    return str(json.loads(package.read_text())["version"])


def read_package_version(python: Path, package: str) -> str | None:
    """The version of a package in an interpreter's environment."""
    if not python.exists():
        return None
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    shown = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False)
    return shown.stdout.strip() or None


def peer(name: str, package: str, prepare: Callable[[Path, int], Launch]) -> Target:
    """A peer that is a Python package in an environment of its own."""
    python = ENVIRONMENTS / f"bench-{package}" / "bin" / "python"
    return Target(
        name=name,
        prepare=prepare,
        read_version=lambda: read_package_version(python, package),
        how_to_install="make bench-peers",
    )


# ---- All of them ----------------------------------------------------------------------------

DIRECT = Target(name="direct", prepare=prepare_direct, read_version=lambda: "")
NGINX = Target(
    name="nginx, bare proxy",
    prepare=prepare_nginx,
    read_version=read_nginx_version,
    how_to_install="apt-get install nginx",
)
STRICT, RELAXED, FSYNC = briggs("strict"), briggs("relaxed"), briggs("fsync")
LITELLM = peer("LiteLLM proxy", "litellm", prepare_litellm)
PORTKEY = Target(
    name="Portkey gateway",
    prepare=prepare_portkey,
    read_version=read_portkey_version,
    how_to_install="make bench-peers",
)
MLFLOW = peer("MLflow gateway", "mlflow", prepare_mlflow)

TARGETS = (DIRECT, NGINX, STRICT, RELAXED, FSYNC, PORTKEY, MLFLOW, LITELLM)


def find_free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find_printed_port(log: Path) -> int | None:
    """The port in the address that a target printed. None if it has not printed one yet."""
    found = re.search(r"http://[\w.]+:(\d+)", log.read_text(errors="replace"))
    return int(found[1]) if found else None
