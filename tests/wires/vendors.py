"""Runs a made-up vendor with a real Briggs in front of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import openai

from tests.processes import Behaviour, Server, Upstream, run_server

KEY = "vendor-key"


class Vendor(NamedTuple):
    """The vendor, which answers at `/vendor`, and the Briggs that calls it as `kind`."""

    upstream: Upstream
    server: Server

    def open_client(self) -> openai.OpenAI:
        """A client of Briggs without retries."""
        url = f"{self.server.url}/v1"
        return openai.OpenAI(base_url=url, api_key=self.server.key, max_retries=0)


@contextlib.contextmanager
def run_vendor(
    folder: Path, behaviour: Behaviour, *, kind: str, path: str = "", **settings: Any
) -> Iterator[Vendor]:
    """Run both. `path` is the part of the vendor's address after `/vendor`."""
    upstream = Upstream({"vendor": behaviour})
    members = {
        "kind": kind,
        "base_url": f"http://127.0.0.1:{upstream.port}/vendor{path}",
        "key_variable": "VENDOR_KEY",
        **settings,
    }
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in members.items()]
    config = f"[providers.{kind}]\n" + "".join(lines)
    with (
        contextlib.closing(upstream),
        run_server(folder / "data", config=config, environment={"VENDOR_KEY": KEY}) as server,
    ):
        yield Vendor(upstream, server)


def list_ids(vendor: Vendor) -> list[str]:
    """The models that Briggs lists for this vendor."""
    listed = vendor.server.send("GET", "/v1/models").json["data"]
    return [model["id"] for model in listed if not model["id"].startswith("local/")]
