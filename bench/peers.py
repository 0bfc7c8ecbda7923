"""Installs the peers that the bench compares, each into an environment of its own."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence

from bench.targets import ENVIRONMENTS

PYTHON_PEERS = {"litellm": "litellm[proxy]", "mlflow": "mlflow[gateway]"}
NODE_PEERS = {"portkey": "@portkey-ai/gateway"}
# With a newer version, Portkey answers 500 to every stream:
# https://github.com/Portkey-AI/gateway/issues/1389 (read on 2026-11-23).
NODE_OVERRIDES = {"@hono/node-server": "1.14.1"}


def main(arguments: Sequence[str]) -> int:
    """Install all peers, or those that are named. A name may include a version."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument(
        "peers",
        nargs="*",
        metavar="PEER[==VERSION]",
        help=f"{', '.join((*PYTHON_PEERS, *NODE_PEERS))}. The default is all.",
    )
    for peer in parser.parse_args(arguments).peers or (*PYTHON_PEERS, *NODE_PEERS):
        name, _, version = peer.partition("==")
        print(f"bench: installing {peer} into {ENVIRONMENTS / f'bench-{name}'}", flush=True)
        if name in PYTHON_PEERS:
            install_python_peer(name, version)
        elif name in NODE_PEERS:
            install_node_peer(name, version)
        else:
            parser.error(f"{name} is not one of {', '.join((*PYTHON_PEERS, *NODE_PEERS))}")
    return 0


def install_python_peer(name: str, version: str) -> None:
    folder = ENVIRONMENTS / f"bench-{name}"
    wanted = PYTHON_PEERS[name] + (f"=={version}" if version else "")
    python = str(folder / "bin" / "python")
    if shutil.which("uv"):
        subprocess.run(["uv", "venv", "--clear", "--python", sys.executable, folder], check=True)
        subprocess.run(["uv", "pip", "install", "--python", python, wanted], check=True)
        return
    venv.create(folder, clear=True, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", wanted], check=True)


def install_node_peer(name: str, version: str) -> None:
    if shutil.which("npm") is None:
        print(f"bench: skipping {name}: it needs Node.js and npm (apt-get install npm)")
        return
    folder = ENVIRONMENTS / f"bench-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # Without a package.json here, npm would install into a folder above.
    (folder / "package.json").write_text(json.dumps({"private": True, "overrides": NODE_OVERRIDES}))
    wanted = NODE_PEERS[name] + (f"@{version}" if version else "")
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", wanted], cwd=folder, check=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
