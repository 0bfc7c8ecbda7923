"""Several servers on one PostgreSQL, as users run them: real processes, and signals."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from importlib.metadata import version
from typing import Any

import pytest

from briggs import Client
from tests.alerts.test_alerts import ENVIRONMENT
from tests.alerts.test_webhooks import Receiver
from tests.postgres import Postgres
from tests.processes import Reply, Server, Upstream, run_server
from tests.upstreams import PRICES, Doled, Gate, ok, steady
from tests.waiting import wait_for
from tests.web.visitor import Visitor
from tests.workers.lines import reach_all

TIMEOUT_S = 5
"""Long enough for a server that lives to say so, however busy the machine is."""
KEYS = "/v1/organization/admin_api_keys"


@pytest.fixture(scope="module")
def gate() -> Gate:
    return Gate()


@pytest.fixture(scope="module")
def doled() -> Doled:
    return Doled()


@pytest.fixture(scope="module")
def upstream(gate: Gate, doled: Doled) -> Iterator[Upstream]:
    upstream = Upstream({"ok": ok, "gate": gate, "steady": steady, "doled": doled})
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """Takes the messages of alerts."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> str:
    """The address of the database that all servers of this module use."""
    return postgres.create_database()


Start = Callable[..., Server]


@pytest.fixture(scope="module")
def start(
    upstream: Upstream,
    receiver: Receiver,
    database: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Start]:
    """Starts another server on the same database. All have the first one's key."""
    folder = tmp_path_factory.mktemp("nodes")
    config = (
        f'store = "{database}"\n{upstream.config()}{PRICES}'
        f"[limits]\nnode_timeout_s = {TIMEOUT_S}\n"
        f'[webhooks.hook]\nurl = "{receiver.url}"\nsecret_variable = "HOOK_SECRET"\n'
        "allow_private = true\n"
        '[[alerts]]\nname = "costs"\nmeasure = "cost_usd"\nabove = 0.0\nwindow_s = 3600\n'
        'webhooks = ["hook"]\n'
    )
    servers: list[Server] = []
    with ExitStack() as running:

        def start(*options: str) -> Server:
            data = folder / f"node-{len(servers)}" / "data"
            data.mkdir(parents=True)
            if servers:
                (data / "admin.key").write_text(servers[0].key)
            server = running.enter_context(
                run_server(data, config=config, environment=ENVIRONMENT, options=options)
            )
            servers.append(server)
            return server

        yield start


@pytest.fixture(scope="module")
def two(start: Start) -> tuple[Server, Server]:
    """Two servers, for the tests that leave them as they were."""
    first, second = start(), start()
    wait_for(lambda: read_nodes(first)["alive"] == 2)
    return first, second


def read_nodes(server: Server) -> Mapping[str, Any]:
    nodes: Mapping[str, Any] = server.send("GET", "/health").json["nodes"]
    return nodes


def ask(server: Server, said: str, *, model: str = "ok/m", key: str = "") -> Reply:
    body = {"model": model, "messages": [{"role": "user", "content": said}], "max_tokens": 10}
    return server.chat(body, key=key)


def list_calls(server: Server) -> list[dict[str, Any]]:
    found = server.send("GET", "/v1/chat/completions?order=desc&limit=100").json
    calls: list[dict[str, Any]] = found["data"]
    return calls


Look = Callable[[str], list[list[str]]]


@pytest.fixture
def look(postgres: Postgres, database: str) -> Look:
    """Reads status, kind of failure and id of the calls that a condition finds."""

    def look(condition: str) -> list[list[str]]:
        columns = "status, coalesce(failure_kind, ''), id"
        sql = f"SELECT {columns} FROM completions WHERE {condition}"
        found = postgres.execute(sql, database=database.rpartition("/")[2])
        return [line.split("|") for line in found.splitlines()]

    return look


def find_started(look: Look) -> str:
    """The id of the call that runs, once it is on record."""
    wait_for(lambda: len(look("status = 'started' AND model = 'gate/m'")) == 1)
    [[_, _, id]] = look("status = 'started' AND model = 'gate/m'")
    return id


def test_each_shows_what_the_other_has_recorded(two: tuple[Server, Server]) -> None:
    """A call of one node is in the list of the other as soon as it is answered."""
    for here, there in (two, two[::-1]):
        reply = ask(here, "say this")
        assert reply.status == 200, reply.body
        assert list_calls(there)[0]["id"] == reply.headers["x-briggs-completion-id"]
        assert read_nodes(here)["messages"] == "notified"
    assert read_nodes(two[0])["keeper"] == read_nodes(two[1])["keeper"] != ""
    assert 'briggs_nodes{state="alive"} 2.0' in two[0].send("GET", "/metrics").body.decode()


def test_the_nodes_are_listed(two: tuple[Server, Server], gate: Gate) -> None:
    """Each says who lives, who is the keeper, and what each has on its hands."""
    gate.opened.clear()
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(ask, two[1], "wait", model="gate/m")
        here, there = (read_nodes(each)["id"] for each in two)
        found: list[dict[str, Any]] = []

        def are_listed() -> bool:
            found[:] = [each for each in list_nodes(two[0]) if each["status"] == "alive"]
            told = [(each["id"], each["is_this"], each["calls_in_flight"]) for each in found]
            is_kept = any(each["is_keeper"] for each in found)
            return is_kept and told == [(here, True, 0), (there, False, 1)]

        wait_for(are_listed)
        gate.opened.set()
        assert call.result().status == 200
    assert [each["spooled"] for each in found] == [0, 0]
    assert sum(each["is_keeper"] for each in found) == 1
    assert {each["version"] for each in found} == {version("briggs")}
    page = Visitor(two[1]).visit("/settings").body.decode()
    assert "2 servers on this database" in page
    assert all(each["name"] in page for each in found)


def list_nodes(server: Server) -> list[dict[str, Any]]:
    reply = server.send("GET", "/api/v1/nodes")
    assert reply.status == 200, reply.body
    listed: list[dict[str, Any]] = reply.json["data"]
    return listed


def create_key(server: Server, **limits: float) -> dict[str, Any]:
    body = {"name": "program", "scopes": ["answer", "read"], "limits": limits or None}
    made = server.send("POST", KEYS, body)
    assert made.status == 200, made.body
    key: dict[str, Any] = made.json
    return key


def test_a_key_is_revoked_at_all(two: tuple[Server, Server]) -> None:
    """When that is answered, no node takes the key any more."""
    here, there = two
    key = create_key(here)
    for each in two:
        assert ask(each, "hi", key=key["value"]).status == 200
    assert there.send("DELETE", f"{KEYS}/{key['id']}").status == 200
    for each in two:
        assert ask(each, "hi", key=key["value"]).status == 401


def test_who_signs_in_at_one_is_signed_in_at_all(two: tuple[Server, Server]) -> None:
    """A link of one works once, at any. A session, the tokens of its forms and its end hold at all,
    so a balancer may send each request to another node."""
    first, second = two
    path = first.send("POST", "/api/v1/sign_in_links").json["path"]
    visitor, late = Visitor(first, key=None), Visitor(first, key=None)
    for each in (visitor, late):
        each.visit(path)
        each.server = second
    assert visitor.submit(path).status == 200 and visitor.path == "/"
    assert late.submit(path).status == 401
    late.server = first
    assert late.submit(path).status == 401
    thief = Visitor(second, key=None)
    thief.cookies |= visitor.cookies
    visitor.server = first
    assert visitor.visit("/completions").status == 200 and visitor.path == "/completions"
    visitor.server = second
    assert 'data-theme="dark"' in visitor.submit("/theme", theme="dark").body.decode()
    assert thief.send("GET", "/").status == 200
    visitor.server = first
    visitor.submit("/sign-out")
    assert visitor.path == "/sign-in" and thief.send("GET", "/").status == 303


def test_a_key_signs_out_of_all(two: tuple[Server, Server]) -> None:
    """One button at one node ends the sessions of its key at all, and those of no other key."""
    first, second = two
    key = create_key(first)["value"]
    here, there, other = Visitor(first, key=key), Visitor(second, key=key), Visitor(second)
    here.visit("/settings")
    here.submit("/settings/sign-out")
    assert there.send("GET", "/").status == 303
    assert other.send("GET", "/").status == 200


def ask_both(two: tuple[Server, Server], key: str, calls: int) -> int:
    """How many of so many calls at the same time are answered."""

    def call(number: int) -> int:
        return ask(two[number % 2], f"call {number}", model="steady/m", key=key).status

    with ThreadPoolExecutor(calls) as threads:
        statuses = [*threads.map(call, range(calls))]
    assert {*statuses} <= {200, 429}
    return statuses.count(200)


@pytest.mark.parametrize(
    ("limits", "most"), [({"requests_per_minute": 16}, 16), ({"dollars_per_day": 0.07}, 7)]
)
def test_limits(two: tuple[Server, Server], limits: dict[str, float], most: int) -> None:
    """Both together answer no more calls than a key may make, and all of those."""
    key = create_key(two[0], **limits)["value"]
    answered = ask_both(two, key, 20)
    assert 0 < answered <= most

    def ask_again() -> bool:
        nonlocal answered
        answered += ask_both(two, key, 2)
        return answered >= most

    wait_for(ask_again)
    assert answered == most


def test_one_tells_of_an_alert(two: tuple[Server, Server], receiver: Receiver) -> None:
    """An alert of the file that all nodes have is told once."""
    assert ask(two[1], "this costs a cent", model="steady/m").status == 200
    wait_for(lambda: [*map(count_firing, two)] == [1, 1])
    wait_for(lambda: bool(receiver.got))
    assert len(receiver.got) == 1


def count_firing(server: Server) -> int:
    firing: int = server.send("GET", "/health").json.get("alerts_firing", 0)
    return firing


def test_a_node_that_was_frozen(
    two: tuple[Server, Server], start: Start, gate: Gate, look: Look
) -> None:
    """What the others took for the end of its call is replaced by its own end. It goes on."""
    frozen = start()
    gate.opened.clear()
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(ask, frozen, "wait", model="gate/m")
        id = find_started(look)
        frozen.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: look(f"id = '{id}'") == [["failed", "interrupted", id]])
        gate.opened.set()
        frozen.process.send_signal(signal.SIGCONT)
        assert call.result().status == 200
    assert look(f"id = '{id}'") == [["finished", "", id]]
    assert ask(frozen, "go on").status == 200
    assert frozen.stop() == 0


def test_a_keeper_that_was_frozen(
    two: tuple[Server, Server], doled: Doled, upstream: Upstream, look: Look
) -> None:
    """Another one goes on with its work. When it is back, it asks nothing, and what it had asked
    by then is used.
    """
    wait_for(lambda: any(map(is_keeper, two)))
    frozen, other = two if is_keeper(two[0]) else two[::-1]
    with Client(other.url, other.key) as client:
        client.datasets.create("sums", [{"input": f"{n}?", "target": f"{n}?"} for n in range(12)])
        doled.give(4)
        # An answer of another run, or of another process, is not used instead of asking.
        run = client.eval_runs.create(
            "sums", ["doled/m"], [{"kind": "exact"}], concurrency=2, fresh=True
        )
        wait_for(lambda: count_asked(upstream) == 6)
        frozen.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: is_keeper(other))
        doled.give(100)
        over = list(client.eval_runs.watch(run.id))[-1]
        # What was being asked then is not asked again: its answer may still come.
        assert (over.status, over.answered, over.failed) == ("finished", 10, 2)
        frozen.process.send_signal(signal.SIGCONT)
        wait_for(lambda: len(look("status = 'finished' AND model = 'doled/m'")) == 12)
        wait_for(lambda: read_nodes(frozen)["alive"] == 2)
        client.eval_runs.resume(run.id)
        over = list(client.eval_runs.watch(run.id))[-1]
        assert (over.status, over.answered, over.failed) == ("finished", 12, 0)
    assert count_asked(upstream) == 12


def count_asked(upstream: Upstream) -> int:
    return sum(each.path.startswith("/doled/") for each in [*upstream.seen])


def is_keeper(server: Server) -> bool:
    """Whether a server takes itself for the keeper."""
    nodes = read_nodes(server)
    return bool(nodes["keeper"] == nodes["id"])


def test_a_node_that_is_killed(
    two: tuple[Server, Server], start: Start, gate: Gate, look: Look
) -> None:
    """Its calls fail, nobody else's do, and all that was answered is on record."""
    here, dead = two[0], start()
    gate.opened.clear()
    answered: list[str] = []
    stopped = threading.Event()

    def call_on() -> None:
        while not stopped.is_set():
            reply = ask(here, "under load")
            assert reply.status == 200, reply.body
            answered.append(reply.headers["x-briggs-completion-id"])

    with ThreadPoolExecutor(3) as threads:
        crowd = [threads.submit(call_on) for _ in range(2)]
        lost = threads.submit(ask, dead, "never answered", model="gate/m")
        id = find_started(look)
        dead.process.kill()
        assert lost.exception() is not None
        wait_for(lambda: look(f"id = '{id}'") == [["failed", "interrupted", id]])
        stopped.set()
        for each in crowd:
            each.result()
    gate.opened.set()
    # While the database takes longer than it may, records are in the spool.
    wait_for(lambda: {*answered} <= {id for _, _, id in look("status = 'finished'")})
    wait_for(lambda: not look("status = 'started'"))
    wait_for(lambda: read_nodes(here)["lost"] >= 1)
    # Its process ended, so nobody knows what it had on its hands.
    [node] = [each for each in list_nodes(here) if str(dead.process.pid) in each["name"].split()]
    assert (node["status"], node["is_keeper"], node["spooled"]) == ("lost", False, None)
    assert node["started_at"] < node["seen_at"]


def test_workers_are_nodes(
    two: tuple[Server, Server], start: Start, gate: Gate, look: Look
) -> None:
    """Each worker is to the database what a node is. One that dies loses its own calls only."""
    here, server = two[0], start("--workers", "2")
    assert server.send("GET", "/health").json["workers"]["running"] == 2
    key = create_key(here, requests_per_minute=100)
    with reach_all(server) as callers:
        statuses = [each.chat("hi", key=key["value"]).status for each in callers]
        assert here.send("DELETE", f"{KEYS}/{key['id']}").status == 200
        statuses += [each.chat("hi", key=key["value"]).status for each in callers]
        assert statuses == [200, 200, 401, 401]
        gate.opened.clear()
        with ThreadPoolExecutor(1) as threads:
            call = threads.submit(callers[0].chat, "wait", model="gate/m")
            id = find_started(look)
            os.kill(callers[0].worker, signal.SIGKILL)
            wait_for(lambda: look(f"id = '{id}'") == [["failed", "interrupted", id]])
            assert call.exception() is not None
        gate.opened.set()
        assert callers[1].chat("go on").status == 200
    assert server.stop() == 0
