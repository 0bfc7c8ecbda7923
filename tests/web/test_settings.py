"""Settings: what each key sees there, and the keys and organizations that are made there."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from html import unescape

import pytest

from briggs.settings import LakeSettings
from briggs.types.organizations import Organization
from briggs.types.retention import Term
from briggs.web.settings import list_kept
from tests.processes import Reply, Server, Upstream, run_server
from tests.waiting import wait_for
from tests.web.visitor import Visitor

KEYS = "/v1/organization/admin_api_keys"
CALL = {"messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def server(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a provider that answers, one that fails, and one without its key."""
    config = f"""
[providers.good]
kind = "openai"
base_url = "http://127.0.0.1:{upstream.port}/ok/v1"
key_variable = "GOOD_KEY"
[providers.away]
kind = "openai"
base_url = "http://127.0.0.1:1/v1"
key_variable = "GOOD_KEY"
[providers.keyless]
kind = "groq"
[models.both]
targets = ["away/m-1", "good/m-1"]
[cool_down]
failures = 1
duration_s = 600
[retention]
bodies = "30d"
[[retention.rules]]
organization = "elsewhere"
metadata = "1w"
[prices."good/m-1"]
input = 1.25
output = 10
"""
    folder = tmp_path_factory.mktemp("settings")
    environment = {"GOOD_KEY": "canary-of-a-provider"}
    with run_server(folder / "data", config=config, environment=environment) as server:
        yield server


def read(reply: Reply) -> str:
    """What a reader sees of a page."""
    text = re.sub(r"<[^>]+>", " ", reply.body.decode())
    return re.sub(r"\s+", " ", unescape(text))


def row(page: str, name: str) -> str:
    """The rest of a page from a name on, as far as a row goes."""
    return page[page.index(f" {name} ") :][:200]


def test_providers(server: Server) -> None:
    """A provider is shown with its variable, how it did in the last hour, and how it is now."""
    for model in ("good/m-1", "both", "away/m-1"):
        server.chat({**CALL, "model": model})
    page = read(Visitor(server).visit("/settings"))
    assert "GOOD_KEY set" in row(page, "good")
    assert "answers" in row(page, "good")
    assert "passed over for" in row(page, "away")
    assert "1 failure" in row(page, "away")
    assert "GROQ_API_KEY not set" in row(page, "keyless")
    assert "no key: set GROQ_API_KEY" in row(page, "keyless")
    assert "canary" not in page


def test_every_provider_is_asked(server: Server) -> None:
    """A button asks all providers, and says who answered and why others did not."""
    visitor = Visitor(server)
    visitor.visit("/settings")
    page = read(visitor.submit("/settings/providers"))
    assert "answers, 1 model" in row(page, "good")
    assert "Connection refused" in row(page, "away")


def test_a_key_is_made_shown_once_and_revoked(server: Server) -> None:
    """A new key has what was chosen. Its secret is shown once, and works until it is revoked."""
    visitor = Visitor(server)
    visitor.visit("/settings")
    made = read(visitor.submit("/settings/keys", name="ci", scopes=["read", "grade"], days="7"))
    secret = re.search(r"sk-briggs-[\w-]{20,}", made)
    assert secret is not None
    assert secret[0] not in visitor.visit("/settings").body.decode()
    [key] = [each for each in server.send("GET", KEYS).json["data"] if each["name"] == "ci"]
    assert key["scopes"] == ["read", "grade"]
    assert 6.9 * 86_400 < key["expires_at"] - key["created_at"] < 7.1 * 86_400
    assert server.send("GET", "/v1/chat/completions", key=secret[0]).status == 200
    assert visitor.submit(f"/settings/keys/{key['id']}/revoke").status == 200
    assert server.send("GET", "/v1/chat/completions", key=secret[0]).status == 401


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"name": "", "scopes": ["read"]}, "'name' is required"),
        ({"name": "x" * 201, "scopes": ["read"]}, "200 characters"),
        ({"name": "x"}, "'scopes'"),
        ({"name": "x", "scopes": ["all"]}, "'scopes'"),
        ({"name": "x", "scopes": ["read"], "days": "-1"}, "'days'"),
        ({"name": "x", "scopes": ["read"], "days": "nan"}, "'days'"),
    ],
)
def test_a_key_that_cannot_be_made(
    server: Server, fields: dict[str, str | list[str]], told: str
) -> None:
    """A form that is filled in wrongly makes no key, and the page says what is wrong."""
    visitor = Visitor(server)
    before = len(server.send("GET", KEYS).json["data"])
    refused = visitor.submit("/settings/keys", **fields)
    assert refused.status == 400
    assert told in read(refused)
    assert len(server.send("GET", KEYS).json["data"]) == before


def test_the_key_of_this_session_stays(server: Server) -> None:
    """Nobody locks themselves out."""
    [own] = [each for each in server.send("GET", KEYS).json["data"] if each["name"] == "admin"]
    refused = Visitor(server).submit(f"/settings/keys/{own['id']}/revoke")
    assert refused.status == 400
    assert "cannot revoke itself" in read(refused)


def test_an_organization_is_made(server: Server) -> None:
    """The first organization's administrators make others, whose pages show nothing of ours."""
    visitor = Visitor(server)
    made = read(visitor.submit("/settings/organizations", slug="acme", name="Acme & Söhne"))
    secret = re.search(r"sk-briggs-[\w-]{20,}", made)
    assert secret is not None
    assert "Acme & Söhne" in read(visitor.visit("/settings"))
    theirs = Visitor(server, key=secret[0])
    page = read(theirs.visit("/settings"))
    assert "Acme & Söhne" in page
    for hidden in ("127.0.0.1", "GOOD_KEY", "Free", " default ", "Ask all"):
        assert hidden not in page, hidden
    assert theirs.submit("/settings/providers").status == 403
    assert theirs.submit("/settings/organizations", slug="more").status == 403
    for key in server.send("GET", KEYS).json["data"]:
        assert theirs.submit(f"/settings/keys/{key['id']}/revoke").status == 404


def test_a_reader_sees_no_keys(server: Server) -> None:
    """A key that may only read sees neither keys nor the forms that make them."""
    made = server.send("POST", KEYS, {"name": "reader", "scopes": ["read"]}).json["value"]
    page = Visitor(server, key=made).visit("/settings").body.decode()
    assert "/settings/keys" not in page
    assert "/settings/providers" not in page


def test_prices(server: Server) -> None:
    """A model that was called is listed with its price and what it cost."""
    server.chat({**CALL, "model": "good/m-1"})
    page = read(Visitor(server).visit("/settings/prices"))
    assert "$1.25" in page
    assert "briggs.toml" in page


def test_rules(server: Server) -> None:
    """Every rule has a row that can be linked to."""
    page = Visitor(server).visit("/settings/rules").body.decode()
    assert 'id="L3"' in page
    assert "<code>chat.completion</code>" in page


def test_storage(server: Server) -> None:
    """The record's size and the room that is left are shown."""
    page = read(Visitor(server).visit("/settings"))
    assert re.search(r"File [\d.]+ (KB|MB)", page)
    assert re.search(r"Free [\d.,]+ (MB|GB|TB)", page)
    assert "Durability strict" in page


def test_limits_of_a_key(server: Server) -> None:
    """A key's limits are set on the page, shown with their use, and removed by empty fields."""
    visitor = Visitor(server)
    visitor.visit("/settings")
    fields = {"name": "limited", "scopes": "answer", "requests_per_minute": "2"}
    made = visitor.submit("/settings/keys", **fields)
    secret = re.search(r"sk-briggs-[\w-]+", made.body.decode())
    assert secret
    for status in (200, 200, 429):
        assert server.chat({**CALL, "model": "good/m-1"}, key=secret[0]).status == status
    page = read(visitor.visit("/settings"))
    assert "2 of 2 requests a minute" in page
    keys = server.send("GET", KEYS).json["data"]
    [id] = [key["id"] for key in keys if key["name"] == "limited"]
    visitor.submit(f"/settings/keys/{id}/limits", dollars_per_day="1.5")
    page = read(visitor.visit("/settings"))
    assert (
        "requests a minute" not in row(page, "limited").partition("Set")[0].partition("Change")[0]
    )
    assert "of $1.50 a day" in page
    wrong = visitor.submit(f"/settings/keys/{id}/limits", dollars_per_day="much")
    assert wrong.status == 400
    assert "must be a number" in read(wrong)
    assert visitor.submit("/settings/keys/key_nobody/limits").status == 404


@pytest.mark.parametrize(
    ("terms", "lake", "kept"),
    [
        ([], None, [("Kept for", "ever", "nothing is deleted by itself")]),
        (
            [Term(what="bodies", span="90min"), Term(what="metadata", span="1w", tag="eu")],
            None,
            [
                ("Messages kept for", "90 minutes", ""),
                ("Kept for", "1 week", "with the tag eu"),
                ("Kept for", "ever", "all else"),
            ],
        ),
        (
            [
                Term(what="metadata", span="400d", organization="acme"),
                Term(what="metadata", span="1d", organization="other"),
            ],
            LakeSettings(warehouse="secret", after="2w", keep_record=False),
            [
                ("Kept for", "400 days", ""),
                ("In the lake after", "2 weeks", "and leaves the record"),
            ],
        ),
    ],
)
def test_how_long_what_is_kept(
    terms: list[Term], lake: LakeSettings | None, kept: list[tuple[str, str, str]]
) -> None:
    """The terms of an organization and of all, what none of them deletes, and the lake."""
    assert list_kept(terms, lake, of=Organization(slug="acme", name="Acme")) == kept


def test_the_terms_are_shown(server: Server) -> None:
    """Settings say how long messages and completions stay, and nothing of other organizations."""
    page = read(Visitor(server).visit("/settings"))
    assert "Messages kept for 30 days Kept for ever all else" in page
    assert "1 week" not in page


def test_background_work(server: Server) -> None:
    """Settings and `/health` say how far the work on older completions is, and then no longer."""
    begun = (
        "INSERT INTO backfills (name, after_organization_id, after_id) VALUES ('derived', 'z', '')"
    )
    with contextlib.closing(sqlite3.connect(server.data / "briggs.db")) as database:
        database.execute(begun)
        database.commit()
        wait_for(lambda: "background" in server.send("GET", "/health").json)
        told = server.send("GET", "/health").json["background"]
        page = read(Visitor(server).visit("/settings"))
        database.execute("DELETE FROM backfills WHERE name = 'derived'")
        database.commit()
    assert told == [{"work": "derived", "share": 1.0}]
    assert "Looked through 100 % older completions, in the background" in page
