"""`briggs organizations`, and keys that an administrator creates for another organization."""

from __future__ import annotations

from tests.cli.running import RunningServer, create_completions, run, show


def test_an_organization_and_its_keys(server: RunningServer) -> None:
    """An administrator of the first organization can create others and manage their keys."""
    create_completions(server, "of the first")
    made = run("organizations", "create", "makers", "--name", "The makers", server=server)
    admin = made.output.strip()
    assert admin.startswith("sk-briggs-")
    assert "shown only here" in made.errors
    listed = run("organizations", "list", server=server).lines
    slugs = {line["slug"]: line["name"] for line in listed}
    assert slugs["default"] == "Default"
    assert slugs["makers"] == "The makers"

    options = ["--organization=makers", "--scope=read", "--expires-in=30d"]
    (key,) = run("keys", "create", "reader", *options, "--json", server=server).lines
    assert key["scopes"] == ["read"]
    assert 29 * 86_400 < key["expires_at"] - key["created_at"] <= 30 * 86_400
    listed = run("keys", "list", "--organization=makers", server=server).lines
    assert [each["name"] for each in listed] == ["admin", "reader"]
    assert "reader" not in {each["name"] for each in run("keys", "list", server=server).lines}

    theirs = run("completions", "list", server=server, BRIGGS_API_KEY=key["value"])
    assert (theirs.status, theirs.output) == (0, "")
    (own,) = run("organizations", "list", server=server, BRIGGS_API_KEY=admin).lines
    assert own["slug"] == "makers"

    assert run("keys", "revoke", key["id"], server=server).status == 1
    revoked = run("keys", "revoke", key["id"], "--organization=makers", server=server)
    assert revoked.status == 0
    assert run("completions", "list", server=server, BRIGGS_API_KEY=key["value"]).status == 1


def test_administrators_of_others_look_after_their_own_only(server: RunningServer) -> None:
    """Other administrators see only their own organization."""
    admin = run("organizations", "create", "others", server=server).output.strip()
    for command in (["create", "spy"], ["list"], ["revoke", "key_1"]):
        done = run("keys", *command, "--organization=default", server=server, BRIGGS_API_KEY=admin)
        assert (done.status, done.output) == (1, "")
        assert "no organization 'default'" in done.errors
    own = run("keys", "list", "--organization=others", server=server, BRIGGS_API_KEY=admin)
    assert [each["name"] for each in own.lines] == ["admin"]


def test_organizations_and_scopes_on_a_terminal(server: RunningServer) -> None:
    """The tables show an organization's name and a key's scopes."""
    run("organizations", "create", "shown", "--name", "Shown in a table", server=server)
    status, shown = show("organizations", "list", server=server, NO_COLOR="1")
    assert status == 0
    assert "Shown in a table" in shown
    run("keys", "create", "scoped-key", "--scope=grade", "--scope=read", server=server)
    _, shown = show("keys", "list", server=server, width=140, NO_COLOR="1")
    (line,) = [line for line in shown.splitlines() if "scoped-key" in line]
    assert "read grade" in line


def test_what_is_no_span_or_scope(server: RunningServer) -> None:
    """An invalid value is a usage error that lists the valid ones."""
    done = run("keys", "create", "x", "--expires-in", "soon", server=server)
    assert done.status == 2
    assert "write 12h, 30d or 4w" in done.errors
    done = run("keys", "create", "x", "--scope", "all", server=server)
    assert done.status == 2
    assert "answer" in done.errors


def test_a_slug_that_is_taken(server: RunningServer) -> None:
    """The server's reason is printed on one line."""
    assert run("organizations", "create", "twice", server=server).status == 0
    done = run("organizations", "create", "twice", server=server)
    assert (done.status, done.output) == (1, "")
    assert len(done.errors.splitlines()) == 1


def test_an_organization_is_deleted(server: RunningServer) -> None:
    """Deleting an organization takes its keys with it, and needs a yes."""
    admin = run("organizations", "create", "leaving", server=server).output.strip()
    assert run("organizations", "delete", "leaving", server=server).status == 2
    assert run("organizations", "delete", "leaving", "--yes", server=server).status == 0
    assert run("keys", "list", server=server, BRIGGS_API_KEY=admin).status == 1
    assert run("organizations", "delete", "leaving", "--yes", server=server).status == 1
