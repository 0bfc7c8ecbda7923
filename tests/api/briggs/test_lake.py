"""The lake over HTTP and by the command: what has gone there is read, listed and deleted there."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from briggs import Client
from briggs.lake.lake import Lake
from briggs.settings import open_settings
from briggs.storage import Store
from briggs.types.completions import Completion, current_time_us
from briggs.types.record_lines import write_line
from tests.api.briggs.test_retention import log
from tests.api.test_peers import Pair
from tests.cli.running import RunningServer, run
from tests.lake.completions import read_bytes
from tests.processes import Server, create_response, run_server
from tests.storage.records import finished
from tests.waiting import wait_for
from tests.web.visitor import Visitor

CONFIG = '[lake]\nwarehouse = "lake"\nafter = "1d"\nkeep_record = false\n'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose own first round is over, so that only the tests bring anything to the lake."""
    data = tmp_path_factory.mktemp("lake") / "data"
    first = finished(created_at=0)
    asyncio.run(record(data, first))
    with run_server(data, config=CONFIG) as server:
        wait_for(lambda: "archived" in server.retrieve(first.id)["briggs"])
        yield server


async def record(data: Path, completion: Completion) -> None:
    store = await Store.open(data)
    await store.settle(completion)
    await store.close()


def archive(server: Server) -> None:
    """Bring what is old to the lake."""
    with Client(server.url, server.key) as client:
        now = client.lake.archive()
        while now.is_running:
            now = client.lake.retrieve().round
    assert now.deleted == now.archived


def list_ids(server: Server, query: str) -> list[str]:
    reply = server.send("GET", f"/v1/chat/completions?{query}")
    assert reply.status == 200, reply.body
    return [each["id"] for each in reply.json["data"]]


def test_a_completion_in_the_lake_is_read_and_deleted_there(server: Server) -> None:
    """By its id it comes from the lake, with a mark. It cannot be changed, and can be deleted."""
    old, new = log(server, "canary-old", "kept"), log(server, "canary-new", age_s=60)
    before = server.retrieve(old, "request")
    archive(server)
    assert server.retrieve(new)["briggs"].get("archived") is None
    after = server.retrieve(old, "request")
    assert after["briggs"].pop("archived") is True
    assert after == before
    path = f"/v1/chat/completions/{old}"
    messages = server.send("GET", f"{path}/messages").json["data"]
    assert [each["content"] for each in messages] == ["canary-old"]
    reply = server.send("POST", path, {"tags": ["other"]})
    assert (reply.status, reply.json["error"]["code"]) == (409, "conflict")
    assert server.send("DELETE", path).json["deleted"] is True
    assert server.send("GET", path).status == 404, "it is hidden before its file is written anew"
    assert server.send("DELETE", path).status == 404
    archive(server)
    files = [each.read_bytes() for each in (server.data / "lake").rglob("*") if each.is_file()]
    assert not any(b"canary-old" in each for each in files)


def test_only_the_owner_reads_the_data_folder(server: Server) -> None:
    """No file that a server with a lake makes there can be read by others."""
    made = {each.name: each for each in server.data.iterdir() if each.name != "briggs.toml"}
    assert made.keys() >= {"briggs.db", "lake", "lake.db", "server.url"}
    assert not [name for name, path in made.items() if path.stat().st_mode & 0o077]


def test_a_response_in_the_lake_is_retrieved_and_not_continued(server: Server) -> None:
    """Its caller finds it by its id, and is told why no other response can follow on it."""
    old = Completion(
        organization_id="default",
        kind="response",
        status="finished",
        created_at=current_time_us() - 5_000_000 * 1_000_000,
        duration_ms=1.0,
        request=b'{"model": "m-1", "input": "canary-asked"}',
        response=json.dumps(create_response("canary-said")).encode(),
    )
    assert server.send("POST", "/api/v1/completions/import", write_line(old)).status == 200
    id = f"resp_{old.id.replace('-', '')}"
    path = f"/v1/responses/{id}"
    on_record = server.send("GET", path)
    assert on_record.status == 200 and b"canary-said" in on_record.body
    items = server.send("GET", f"{path}/input_items").body
    archive(server)
    assert server.send("GET", path).body == on_record.body
    assert server.send("GET", f"{path}/input_items").body == items
    asked = {"model": "local/briggs-tiny", "input": "And?", "previous_response_id": id}
    error = server.send("POST", "/v1/responses", asked).json["error"]
    assert error["code"] == "previous_response_not_found"
    assert "has gone to the lake" in error["message"]
    assert "send what still matters as input" in error["message"]
    assert server.send("DELETE", path).json == {"id": id, "object": "response", "deleted": True}
    assert server.send("GET", path).status == 404
    error = server.send("POST", "/v1/responses", asked).json["error"]
    assert error["message"].endswith("not found.")


def test_the_page_of_a_completion_in_the_lake(server: Server) -> None:
    """It shows the messages and says where they are. There it can be deleted, and not changed."""
    old = log(server, "canary-page", "shown")
    archive(server)
    visitor = Visitor(server)
    page = visitor.visit(f"/completions/{old}").body
    assert b"canary-page" in page and b"It is in the lake" in page
    assert b"canary-page" in visitor.visit(f"/completions/{old}?tab=raw&body=request").body
    assert visitor.post(f"/completions/{old}/delete").status == 303
    assert server.send("GET", f"/v1/chat/completions/{old}").status == 404


def test_a_list_from_the_lake_has_filters_and_pages(server: Server) -> None:
    """`archived=true` lists the lake by time, and refuses filters that it cannot be asked."""
    ids = [log(server, f"page-{n}", "page", f"t{n % 2}", age_s=9e6 - n) for n in range(5)]
    archive(server)
    assert list_ids(server, "tag=page") == []
    assert server.send("GET", "/v1/chat/completions?tag=page").json["has_archived"] is True
    assert b"have gone to the lake" in Visitor(server).visit("/completions?query=tag%3Dpage").body
    assert list_ids(server, "archived=true&tag=page") == ids
    assert list_ids(server, "archived=true&tag=page&tag=t1&order=desc") == [ids[3], ids[1]]
    reply = server.send("GET", "/v1/chat/completions?archived=true&tag=page&limit=2").json
    assert reply["has_more"] and [each["id"] for each in reply["data"]] == ids[:2]
    assert list_ids(server, f"archived=true&tag=page&limit=3&after={ids[1]}") == ids[2:]
    assert list_ids(server, f"archived=true&tag=page&order=desc&after={ids[1]}") == ids[:1]
    running = RunningServer(server.url, server.key, server.data)
    listed = run(
        "completions", "list", "--archived", "--tag", "page", "--limit", "3", server=running
    )
    assert listed.status == 0, listed.errors
    assert [each["id"] for each in listed.lines] == ids[:1:-1]
    assert listed.lines[0]["briggs"]["request"]["messages"][0]["content"] == "page-4"
    for query, param in (("sort=cost", "sort"), ("filter=tag%3Da", "filter"), ("after=x", "after")):
        reply = server.send("GET", f"/v1/chat/completions?archived=true&{query}")
        assert (reply.status, reply.json["error"]["param"]) == (400, param)


def test_deleting_by_a_filter_reaches_the_lake(server: Server) -> None:
    """A deletion takes what is in the lake along, or says that the lake cannot be asked that."""
    gone, kept = log(server, "gone", "wipe"), log(server, "kept", "other")
    archive(server)
    reply = server.send("DELETE", "/api/v1/completions?user=nobody&violates=C3")
    assert (reply.status, reply.json["param"]) == (400, "violates")
    assert server.send("DELETE", "/api/v1/completions?violates=C3&archived=false").status == 200
    assert server.send("DELETE", "/api/v1/completions?tag=wipe").status == 200
    assert server.send("GET", f"/v1/chat/completions/{gone}").status == 404
    assert server.retrieve(kept)["briggs"]["archived"] is True


def test_the_command_archives_and_tells(server: Server) -> None:
    """`briggs lake archive` says what it did, and `status` what is there and what is not."""
    log(server, "by command")
    running = RunningServer(server.url, server.key, server.data)
    ended = run("lake", "archive", server=running)
    assert ended.status == 0, ended.errors
    assert "archived            1" in ended.output
    said = dict(
        line.split(None, 1) for line in run("lake", "status", server=running).output.splitlines()
    )
    assert int(said["completions"]) > 0 and said["waiting"] == "0"
    metadata = Path(said["metadata"].removeprefix("file://"))
    assert metadata.is_file() and metadata.is_relative_to(server.data / "lake")


def test_where_the_warehouse_is(server: Server) -> None:
    """Only administrators of the first organization learn its address. All others see the rest."""
    log(server, "somewhere")
    archive(server)
    keys = "/v1/organization/admin_api_keys"
    reader = server.send("POST", keys, {"name": "reader", "scopes": ["read"]}).json["value"]
    made = server.send("POST", "/api/v1/organizations", {"slug": "next-door", "name": "n"}).json
    running = RunningServer(server.url, server.key, server.data)
    for key in (reader, made["key"]["value"]):
        reply = server.send("GET", "/api/v1/lake", key=key)
        assert reply.status == 200 and str(server.data).encode() not in reply.body
        with Client(server.url, key) as client:
            assert client.lake.retrieve().metadata is None
        told = run("lake", "status", server=running, BRIGGS_API_KEY=key)
        assert told.status == 0 and told.output.splitlines()[-1].split() == ["metadata", "-"]
    with Client(server.url, server.key) as client:
        assert str(server.data / "lake") in (client.lake.retrieve().metadata or "")


def test_the_command_compacts(server: Server) -> None:
    """`briggs lake compact` writes a day's small files together, and says how many there were."""
    ids = []
    for name in ("first", "second", "third"):
        ids.append(log(server, name, "small", age_s=6e6))
        archive(server)
    running = RunningServer(server.url, server.key, server.data)
    with Client(server.url, server.key) as client:
        before = client.lake.retrieve()
        ended = run("lake", "compact", server=running)
        after = client.lake.retrieve()
    assert ended.status == 0, ended.errors
    done = after.compaction
    assert done.files == before.small_files >= 3
    assert f"files {done.files:>15,} -> {done.written:,}" in ended.output
    assert f"bytes {done.bytes_before:>15,} -> {done.bytes_after:,}" in ended.output
    assert after.files == before.files - done.files + done.written
    assert after.bytes == before.bytes - done.bytes_before + done.bytes_after
    assert (after.small_files, after.completions) == (0, before.completions)
    assert list_ids(server, "archived=true&tag=small") == ids
    assert run("lake", "compact", server=running).output.split() == [
        *("files", "0", "->", "0"),
        *("bytes", "0", "->", "0"),
    ]


def test_retention_reaches_the_lake(server: Server) -> None:
    """A span that the file gets later deletes messages that are only in the lake."""
    old, other = log(server, "canary-words", "wordless"), log(server, "canary-others")
    archive(server)
    rule = '[[retention.rules]]\ntag = "wordless"\nbodies = "30d"\n'
    (server.data.parent / "data.toml").write_text(CONFIG + rule)
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: bool(server.send("GET", "/api/v1/retention").json["data"]))
    ended = run("lake", "archive", server=RunningServer(server.url, server.key, server.data))
    assert "emptied             1  in the lake" in ended.output, ended.errors
    reply = server.send("GET", f"/v1/chat/completions/{old}/messages")
    assert (reply.status, reply.json["error"]["code"]) == (410, "deleted")
    assert server.retrieve(old)["briggs"]["archived"] is True
    assert server.send("GET", f"/v1/chat/completions/{other}/messages").status == 200
    assert b"canary-others" in read_bytes(server.data / "lake")
    assert b"canary-words" not in read_bytes(server.data / "lake")


def test_another_organization_sees_nothing(server: Server) -> None:
    """What is in the lake belongs to one organization, by id and in lists."""
    mine = log(server, "mine", "mine")
    archive(server)
    made = server.send("POST", "/api/v1/organizations", {"slug": "other", "name": "Other"}).json
    key = made["key"]["value"]
    assert server.send("GET", f"/v1/chat/completions/{mine}", key=key).status == 404
    assert server.send("GET", "/v1/chat/completions?archived=true", key=key).json["data"] == []
    assert server.send("GET", "/api/v1/lake", key=key).json["completions"] == 0
    assert server.send("DELETE", "/api/v1/completions?status=any", key=key).status == 200
    assert server.retrieve(mine)["briggs"]["archived"] is True


async def test_any_worker_of_a_folder_archives(tmp_path: Path) -> None:
    """They take turns, so it does not have to be the keeper of them."""
    path = tmp_path / "briggs.toml"
    path.write_text(CONFIG)
    store = await Store.open(tmp_path / "data")
    settings = open_settings(data=tmp_path / "data", config=path, environment={})
    lake = Lake(settings, store=store, peers=Pair().other)
    try:
        await store.settle(finished(created_at=0))
        assert (await lake.archive(organization_id="default")).archived == 1
    finally:
        await lake.close()
        await store.close()
