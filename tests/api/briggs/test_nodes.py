"""The nodes of a Briggs whose record is a file: there is one."""

from __future__ import annotations

import time
from importlib.metadata import version

from briggs import Client
from tests.cli.running import RunningServer, open_terminal, run
from tests.processes import Server
from tests.web.visitor import Visitor


def test_a_file_has_one_node(log10: Server) -> None:
    """The API, the SDK and the command say the same of it."""
    here = RunningServer(log10.url, log10.key, log10.data)
    with Client(log10.url, log10.key) as client:
        [node] = client.nodes.list()
    [line] = run("nodes", server=here).lines
    [told] = log10.send("GET", "/api/v1/nodes").json["data"]
    assert told["id"] == line["id"] == node.id
    assert (node.status, node.is_keeper, node.is_this) == ("alive", True, True)
    assert (node.calls_in_flight, node.spooled, node.spool_reason) == (0, 0, None)
    assert node.version == version("briggs")
    assert str(log10.process.pid) in node.name.split()
    assert node.started_at <= node.seen_at <= time.time()
    with open_terminal("nodes", server=here) as terminal:
        terminal.wait()
    assert "keeper" in terminal.shown and "alive" in terminal.shown
    assert "1 server on this database" in Visitor(log10).visit("/settings").body.decode()


def test_nodes_are_for_who_looks_after_all(log10: Server, acme: str) -> None:
    """An administrator of another organization learns nothing of the machines."""
    refused = log10.send("GET", "/api/v1/nodes", key=acme)
    assert refused.status == 403
    assert b"Only administrators of 'default' can list the nodes" in refused.body
    assert "on this database" not in Visitor(log10, key=acme).visit("/settings").body.decode()
