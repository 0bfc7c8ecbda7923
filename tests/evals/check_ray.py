"""A run over a real Ray cluster of two nodes, on this machine: `make test-ray`."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from briggs import Client
from tests.cli.running import environment
from tests.clients.test_clients import ENVIRONMENTS
from tests.evals.test_runs import SAMPLES, Counting, connect, counting, serve
from tests.postgres import Postgres
from tests.processes import Server, run_server
from tests.waiting import PATIENCE_S

__all__ = ["counting"]

BIN = ENVIRONMENTS / "ray" / "bin"
SOURCE = Path(__file__).parents[2] / "src"
OPTIONS = (
    *("--block", "--num-cpus=1", "--object-store-memory=80000000", "--disable-usage-stats"),
    "--node-ip-address=127.0.0.1",
)
# `make test-ray` uses `uv run`, under which a node would start each process by uv too.
VARIABLES = {"PYTHONPATH": str(SOURCE), "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
AT_ONCE = 4
"""How many answers each of the two CPUs waits for."""
SCORER = '''
import os

import ray


def even(text, sample):
    """Whether the answer is even, and on which node that was found out."""
    return int(text) % 2 == 0, ray.get_runtime_context().get_node_id()
'''


class Cluster:
    """A head and another node, each with one CPU and in a group of processes of its own."""

    def __init__(self) -> None:
        # Ray's sockets are in this folder, and their paths must be short.
        self.folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
        self.port, self.client_port = find_port(), find_port()
        self.address = f"ray://127.0.0.1:{self.client_port}"
        self.survivor = ""
        """What Ray calls the node that is left."""
        self.nodes: list[subprocess.Popen[str]] = []

    def start_all(self) -> None:
        """Both nodes. Returns when they run."""
        self.start("--head", f"--port={self.port}", f"--ray-client-server-port={self.client_port}")
        self.start(f"--address=127.0.0.1:{self.port}")

    def start(self, *options: str) -> None:
        if "--head" in options:
            options += (f"--temp-dir={self.folder}", "--include-dashboard=false")
        process = subprocess.Popen(
            [BIN / "ray", "start", *options, *OPTIONS],
            env={**os.environ, **VARIABLES, "HOME": self.folder},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.nodes.append(process)
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if line.rstrip().endswith("--block"):
                return
        raise AssertionError("".join(said))

    def close(self) -> None:
        for each in self.nodes[::-1]:
            kill(each)
        shutil.rmtree(self.folder, ignore_errors=True)


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a node with all its processes, as a machine that loses its power."""
    for each in [*list_tree(process.pid)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def list_tree(process_id: int) -> Iterator[int]:
    """A process and all that it and its children have started."""
    yield process_id
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{process_id}/task/{process_id}/children").read_text()
        for each in children.split():
            yield from list_tree(int(each))


def find_port() -> int:
    """A free port above those that Ray chooses for its workers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = int(listening.getsockname()[1])
    assert port > 20_000, port
    return port


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    try:
        cluster.start_all()
        yield cluster
    finally:
        cluster.close()


def write(folder: Path) -> Sequence[str]:
    """The arguments of a command that asks 60 answers, and scores them by a function too."""
    sums, scorer = folder / "sums.jsonl", folder / "score.py"
    sums.write_text("".join(json.dumps(each) + "\n" for each in SAMPLES))
    scorer.write_text(SCORER)
    return (
        *("evals", "run", str(sums), "--targets", "right/m,wrong/m", "--scorers", "exact"),
        *("--scorer", f"python:{scorer}:even", "--concurrency", str(AT_ONCE), "--format", "json"),
    )


def start(
    cluster: Cluster, server: Server, *arguments: str, **variables: str
) -> subprocess.Popen[str]:
    """A command in the environment that has Ray, and none of the server's packages."""
    known = environment(BRIGGS_DATA=str(server.data), PYTHONPATH=str(SOURCE), **variables)
    # Ray keeps a token in the home folder.
    known["HOME"] = cluster.folder
    return subprocess.Popen(
        [BIN / "python", "-m", "briggs", *arguments],
        env=known,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> Any:
    output, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors
    return json.loads(output)


def read_nodes(client: Client, id: str) -> set[str]:
    """The nodes that scored."""
    answers = client.eval_runs.answers(id)
    return {each.reason for answer in answers for each in answer.scores if each.scorer == "even"}


def test_a_command_that_is_interrupted(
    cluster: Cluster, tmp_path: Path, counting: Counting
) -> None:
    """After Ctrl-C the same command goes on with the run, and nothing is asked twice."""
    arguments = write(tmp_path)
    counting.open.clear()
    with serve(tmp_path, counting) as server, connect(server) as client:
        process = start(cluster, server, *arguments, "--workers", cluster.address)
        counting.wait_for(2 * AT_ONCE)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 1
        assert "The same command goes on with it" in errors and "Traceback" not in errors
        counting.open.set()
        done = finish(start(cluster, server, *arguments, "--workers", cluster.address))
        assert done["progress"]["answered"] == 60
        assert {*counting.asked.values()} == {1} and len(counting.asked) == 60
        assert len(client.eval_runs.list()) == 1
        assert read_nodes(client, done["run"]["id"])


def test_a_server_that_dies(cluster: Cluster, tmp_path: Path, counting: Counting) -> None:
    """The machines wait for it. What was being asked is interrupted, and nothing is asked twice."""
    arguments = write(tmp_path)
    counting.open.clear()
    port = ("--port", str(find_port()))
    config = counting.upstream.config()
    with run_server(tmp_path / "data", config=config, options=port) as server:
        process = start(cluster, server, *arguments, "--workers", cluster.address)
        counting.wait_for(2 * AT_ONCE)
        server.stop(signal.SIGKILL)
    counting.open.set()
    with run_server(tmp_path / "data", config=config, options=port) as server:
        output, errors = process.communicate(timeout=180)
        assert process.returncode == 1, errors
        progress = json.loads(output)["progress"]
        in_flight = 2 * AT_ONCE
        assert (progress["answered"], progress["failed"]) == (60 - in_flight, in_flight)
        assert f"Of 60 answers, {in_flight} failed ({in_flight} interrupted)." in errors
        assert {*counting.asked.values()} == {1} and len(counting.asked) == 60


def test_several_servers(
    cluster: Cluster, tmp_path: Path, counting: Counting, postgres: Postgres
) -> None:
    """The nodes of one record share the calls. If one dies, the other one is asked for the rest."""
    arguments = write(tmp_path)
    counting.open.clear()
    config = (
        f'store = "{postgres.create_database()}"\n{counting.upstream.config()}'
        "[limits]\nnode_timeout_s = 5\n"
    )
    folders = [tmp_path / name / "data" for name in ("one", "other")]
    with run_server(folders[0], config=config) as one:
        folders[1].mkdir(parents=True)
        (folders[1] / "admin.key").write_text(one.key)
        with run_server(folders[1], config=config) as other:
            urls = f"{one.url},{other.url}"
            spread = ("--workers", cluster.address, "--workers-url", urls)
            process = start(cluster, other, *arguments, *spread)
            counting.wait_for(2 * AT_ONCE)
            one.stop(signal.SIGKILL)
            counting.open.set()
            output, errors = process.communicate(timeout=180)
            assert process.returncode == 1 and output, errors
            # Each of the two processors had begun with another server.
            progress = json.loads(output)["progress"]
            assert (progress["answered"], progress["failed"]) == (60 - AT_ONCE, AT_ONCE)
            assert f"{AT_ONCE} failed ({AT_ONCE} interrupted)." in errors
    assert {*counting.asked.values()} == {1} and len(counting.asked) == 60


def test_a_node_that_dies(cluster: Cluster, tmp_path: Path, counting: Counting) -> None:
    """Another node takes over, nothing is asked twice, and the report is that of a run without."""
    arguments = write(tmp_path)
    counting.open.clear()
    with serve(tmp_path, counting) as server, connect(server) as client:
        process = start(cluster, server, *arguments, "--workers", cluster.address)
        counting.wait_for(2 * AT_ONCE)
        kill(cluster.nodes[1])
        counting.open.set()
        spread = finish(process)
        assert {*counting.asked.values()} == {1} and len(counting.asked) == 60
        assert len(client.completions.list(tags=["eval"], limit=100).data) == 60
        [cluster.survivor] = read_nodes(client, spread["run"]["id"])
        by_itself = finish(start(cluster, server, *arguments, "--fresh"))
        assert len(counting.upstream.seen) == 120
    for one, other in zip(spread["targets"], by_itself["targets"], strict=True):
        assert [one[name] for name in ("answered", "failed", "cached")] == [30, 0, 0]
        for scorer in ("exact", "even"):
            figures = [
                {k: v for k, v in each["scores"][scorer].items() if k != "reasons"}
                for each in (one, other)
            ]
            assert figures[0] == figures[1]
    assert [each["result"] for each in spread["comparisons"]] == [
        each["result"] for each in by_itself["comparisons"]
    ]


def test_the_cluster_of_this_machine(cluster: Cluster, tmp_path: Path, counting: Counting) -> None:
    """`--workers ray` joins the cluster of this machine without its client port."""
    arguments = write(tmp_path)
    with serve(tmp_path, counting) as server, connect(server) as client:
        found = {"RAY_ADDRESS": f"127.0.0.1:{cluster.port}"}
        done = finish(start(cluster, server, *arguments, "--workers", "ray", **found))
        assert done["progress"]["answered"] == 60
        assert read_nodes(client, done["run"]["id"]) == {cluster.survivor}


def test_bad_addresses(cluster: Cluster, tmp_path: Path, counting: Counting) -> None:
    """A cluster that cannot be used is an error that says what to do, before anything is asked."""
    arguments = write(tmp_path)
    with serve(tmp_path, counting) as server:
        for address, status, said in (
            ("ray://127.0.0.1:1", 1, "start the cluster with `ray start --head"),
        ):
            process = start(cluster, server, *arguments, "--workers", address)
            _, errors = process.communicate(timeout=PATIENCE_S)
            assert process.returncode == status and said in errors, errors
            assert "Traceback" not in errors
    assert counting.upstream.seen == []
