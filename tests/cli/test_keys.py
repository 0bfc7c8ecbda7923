"""`briggs keys` and `briggs models`."""

from __future__ import annotations

from tests.cli.running import RunningServer, open_terminal, run, show


def test_a_key_from_creation_to_revocation(server: RunningServer) -> None:
    """`create` prints a key's secret, which works until `revoke`."""
    created = run("keys", "create", "night job", server=server)
    secret = created.output.strip()
    assert secret.startswith("sk-briggs-")
    assert "shown only here" in created.errors
    assert run("models", server=server, BRIGGS_API_KEY=secret).status == 0
    (key,) = [key for key in run("keys", "list", server=server).lines if key["name"] == "night job"]
    assert "value" not in key
    assert run("keys", "revoke", key["id"], server=server).status == 0
    refused = run("models", server=server, BRIGGS_API_KEY=secret)
    assert refused.status == 1
    assert len(refused.errors.splitlines()) == 1


def test_create_as_json_is_the_whole_key(server: RunningServer) -> None:
    """`--json` prints all members of the new key."""
    (key,) = run("keys", "create", "whole", "--json", server=server).lines
    assert (key["name"], key["object"]) == ("whole", "organization.admin_api_key")
    assert key["value"].startswith("sk-briggs-")


def test_a_key_without_a_scope_is_no_administrators(server: RunningServer) -> None:
    """In a pipe, `create` does not ask: the key has all scopes except `admin`, as a note says."""
    done = run("keys", "create", "plain", server=server)
    assert "for answer, read, grade" in done.errors
    (key,) = [key for key in run("keys", "list", server=server).lines if key["name"] == "plain"]
    assert key["scopes"] == ["answer", "read", "grade"]


def test_a_terminal_is_asked_for_the_scope(server: RunningServer) -> None:
    """A terminal asks for the scopes, asks again after an invalid one, and accepts Enter."""
    for name, typed, scopes in (
        ("asked", ("everything", "read grade"), ["read", "grade"]),
        ("default", ("",), ["answer", "read", "grade"]),
    ):
        with open_terminal("keys", "create", name, server=server, NO_COLOR="1") as terminal:
            terminal.wait_for("What may the key do?")
            for answer in typed:
                terminal.type(f"{answer}\n")
            assert terminal.wait() == 0
            if len(typed) > 1:
                assert "everything is not a scope" in terminal.shown
        (key,) = [key for key in run("keys", "list", server=server).lines if key["name"] == name]
        assert key["scopes"] == scopes


def test_keys_on_a_terminal_are_a_table(server: RunningServer) -> None:
    """The table shows every key and no secret."""
    secret = run("keys", "create", "of the table", server=server).output.strip()
    status, shown = show("keys", "list", server=server, NO_COLOR="1")
    assert status == 0
    assert "of the table" in shown
    assert "never" in shown
    assert secret not in shown


def test_revoking_what_is_not_there(server: RunningServer) -> None:
    """An unknown key is named on one line."""
    done = run("keys", "revoke", "key_nobody", server=server)
    assert done == (1, "", "Error: There is no key 'key_nobody'.\n")


def test_models(server: RunningServer) -> None:
    """Models are a table on a terminal and JSON lines in a pipe."""
    assert "mine/echo" in [model["id"] for model in run("models", server=server).lines]
    assert "mine/echo" in show("models", server=server)[1]


def test_an_invitation_from_link_to_end(server: RunningServer) -> None:
    """`invite` prints a link only, `invitations` lists it, and `uninvite` closes it."""
    schema = '{"type": "object", "properties": {"good": {"type": "boolean"}}}'
    run("feedback-task", "create", "--name", "invited", "--task-schema", schema, server=server)
    made = run("feedback-task", "invite", "invited", "--name", "qa-2", server=server)
    assert made.output.startswith(f"{server.url}/invitations/sk-briggs-")
    assert "shown only here" in made.errors
    (listed,) = run("feedback-task", "invitations", "invited", server=server).lines
    status, shown = show("feedback-task", "invitations", "invited", server=server, NO_COLOR="1")
    assert (status, "qa-2" in shown, "in 30d" in shown or "never" in shown) == (0, True, True)
    assert run("feedback-task", "uninvite", "invited", listed["id"], server=server).status == 0
    assert run("feedback-task", "invitations", "invited", server=server).lines == []


def test_limits_of_a_key(server: RunningServer) -> None:
    """Limits are set with the key, changed and removed one by one, and shown with their use."""
    options = ("--requests-per-minute", "20", "--dollars-per-day", "2.5")
    made = run("keys", "create", "limited", *options, "--json", server=server).lines[0]
    assert made["limits"] == {"requests_per_minute": 20, "dollars_per_day": 2.5}
    id = made["id"]
    changed = run("keys", "limit", id, "--calls-in-flight", "3", server=server)
    assert changed == (
        0,
        "",
        f"{id} (limited): 20 requests a minute, 3 calls in flight, $2.5 a day.\n",
    )
    _, shown = show("keys", "list", server=server, NO_COLOR="1")
    assert "0/20" in shown and "$0.00/$2.5" in shown
    (key,) = [key for key in run("keys", "list", server=server).lines if key["id"] == id]
    assert key["use"]["dollars_today"] == 0
    removed = ("--remove", "requests-per-minute", "--remove", "dollars-per-day")
    run("keys", "limit", id, *removed, "--remove", "calls-in-flight", server=server)
    (key,) = [key for key in run("keys", "list", server=server).lines if key["id"] == id]
    assert key["limits"] == {}
    nothing = run("keys", "limit", id, server=server)
    assert nothing.status == 2
    assert "No limit is given" in nothing.errors
    assert run("keys", "limit", "key_nobody", "--dollars-per-day", "1", server=server).status == 1
