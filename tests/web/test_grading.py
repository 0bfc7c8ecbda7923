"""The grading page without JavaScript, and what a reviewer may see."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.processes import Server, create_response
from tests.web.visitor import Visitor

SCHEMA = {
    "type": "object",
    "required": ["relevance"],
    "properties": {
        "relevance": {"type": "integer", "minimum": 1, "maximum": 5},
        "tone": {"enum": ["kind", "cold"]},
    },
}
EVIL = "<script>alert(1)</script>"


def record(server: Server, tag: str, count: int = 3) -> list[str]:
    ids = []
    for number in range(count):
        body = {
            "organization_id": "default",
            "kind": "chat",
            "status": "finished",
            "tags": [tag],
            "request": {
                "model": "secret-model",
                "messages": [{"role": "user", "content": f"Question {number} {EVIL}"}],
            },
            "response": create_response(model="secret-model"),
        }
        ids.append(server.send("POST", "/api/v1/completions", body).json["id"])
    return ids


def create_task(server: Server, tag: str, **members: Any) -> dict[str, Any]:
    body = {
        "name": tag,
        "instruction": f"Look well {EVIL}",
        "json_schema": SCHEMA,
        "completion_tags_selector": [tag],
        **members,
    }
    made: dict[str, Any] = server.send("POST", "/api/v1/feedback_task", body).json
    return made


def list_given(server: Server, task: dict[str, Any]) -> list[dict[str, Any]]:
    given: list[dict[str, Any]] = server.send(
        "GET", f"/api/v1/feedback?task_id={task['id']}&limit=100"
    ).json["data"]
    return given


def invite(server: Server, task: dict[str, Any], name: str = "qa-2") -> Visitor:
    """A reviewer who came by a link."""
    made = server.send("POST", f"/api/v1/feedback_task/{task['id']}/invitations", {"name": name})
    reviewer = Visitor(server, key=None)
    page = reviewer.visit(made.json["path"])
    assert name in page.body.decode() and EVIL not in page.body.decode()
    reviewer.submit(made.json["path"])
    assert reviewer.path == f"/feedback/{task['id']}/grade"
    return reviewer


def hidden(page: bytes) -> dict[str, str]:
    """The hidden inputs of the form."""
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.decode())
    return {name: value for name, value in found if name != "csrf"}


def test_an_invited_reviewer_grades_everything(server: Server) -> None:
    """From the link to the end, with nothing but forms. Each grade has the reviewer's name."""
    ids = record(server, "invited-all")
    task = create_task(server, "invited-all")
    reviewer = invite(server, task)
    here = f"/feedback/{task['id']}/grade"
    seen = []
    page = reviewer.visit(here)
    for _ in ids:
        assert EVIL not in page.body.decode()
        form = hidden(page.body)
        seen.append(form["completion_id"])
        assert reviewer.visit(here).status == 200, "looking again takes no other completion"
        page = reviewer.submit(here, **form, **{"value.relevance": "3", "comment": "c"})
    assert sorted(seen) == sorted(ids)
    assert "Nothing is left for you" in page.body.decode()
    given = list_given(server, task)
    assert {each["reviewer"] for each in given} == {"qa-2"}
    assert [each["json_values"] for each in given] == [{"relevance": 4}] * 3
    assert {each["reviewer_kind"] for each in given} == {"person"}


def test_an_invitation_opens_nothing_else(server: Server) -> None:
    """Every other page is refused, and so are other tasks and completions of others."""
    (other,) = record(server, "not-theirs", 1)
    record(server, "invited-one", 1)
    foreign = create_task(server, "not-theirs")
    task = create_task(server, "invited-one")
    reviewer = invite(server, task)
    for path in ("/", "/completions", f"/completions/{other}", "/feedback", "/settings"):
        refused = reviewer.visit(path)
        assert (refused.status, b"Your invitation opens" in refused.body) == (403, True), path
        assert f'href="/feedback/{task["id"]}/grade">Go on grading' in refused.body.decode()
    assert reviewer.visit(f"/feedback/{task['id']}").status == 403
    assert reviewer.visit(f"/feedback/{foreign['id']}/grade").status == 403
    assert reviewer.visit(f"/feedback/{task['id']}/grade?item={other}").status == 404
    assert reviewer.visit(f"/feedback/{task['id']}/items/{other}/tokens").status == 404
    assert reviewer.submit(f"/feedback/{task['id']}/grade", completion_id=other).status == 404


def test_what_is_missing_is_said_and_kept(server: Server) -> None:
    """A form with a mistake comes back with what was typed."""
    record(server, "mistakes", 1)
    task = create_task(server, "mistakes")
    reviewer = invite(server, task)
    here = f"/feedback/{task['id']}/grade"
    form = hidden(reviewer.visit(here).body)
    page = reviewer.submit(here, **form, **{"value.tone": "1", "comment": "kept <b>"})
    assert page.status == 400
    assert "This field is required" in page.body.decode() and "kept &lt;b&gt;" in page.body.decode()
    assert not list_given(server, task)


def test_skipping_needs_a_reason_and_can_be_undone(server: Server) -> None:
    """A skipped completion does not come back, unless its reviewer takes it back."""
    (id,) = record(server, "skips", 1)
    task = create_task(server, "skips")
    reviewer = invite(server, task)
    here = f"/feedback/{task['id']}/grade"
    form = hidden(reviewer.visit(here).body)
    refused = reviewer.submit(here, **form, action="skip", skip_reason="")
    assert "say in up to" in refused.body.decode()
    done = reviewer.submit(here, **form, action="skip", skip_reason="not my language")
    assert "Nothing is left for you" in done.body.decode()
    reviewer.submit(f"{here}/unskip", completion_id=id)
    assert hidden(reviewer.visit(here).body)["completion_id"] == id


def test_an_answer_can_be_changed(server: Server) -> None:
    """Undo opens the answer again, and saving makes a new version of it."""
    (id,) = record(server, "undo", 1)
    task = create_task(server, "undo")
    reviewer = invite(server, task)
    here = f"/feedback/{task['id']}/grade"
    form = hidden(reviewer.visit(here).body)
    done = reviewer.submit(here, **form, **{"value.relevance": "0", "value.tone": "1"})
    assert f"item={id}" in done.body.decode()
    again = reviewer.visit(f"{here}?item={id}")
    assert "You graded this before" in again.body.decode()
    reviewer.submit(here, **hidden(again.body), **{"value.relevance": "4"})
    (given,) = list_given(server, task)
    assert (given["json_values"], given["version"]) == ({"relevance": 5}, 2)


def test_a_changed_task_keeps_what_fits(server: Server) -> None:
    """A reviewer whose task changed sees the new form, with what still fits, and saves nothing."""
    record(server, "changed", 1)
    task = create_task(server, "changed")
    reviewer = invite(server, task)
    here = f"/feedback/{task['id']}/grade"
    form = hidden(reviewer.visit(here).body)
    wider = {**SCHEMA, "required": ["relevance", "safe"]}
    wider["properties"] = {**SCHEMA["properties"], "safe": {"type": "boolean"}}  # type: ignore[dict-item]
    server.send("POST", f"/api/v1/feedback_task/{task['id']}", {"json_schema": wider})
    page = reviewer.submit(here, **form, **{"value.relevance": "2"}).body.decode()
    assert "The task was changed" in page and "version 2" in page
    assert 'name="value.relevance" value="2" checked' in page and 'name="value.safe"' in page
    assert not list_given(server, task)


def test_a_lease_that_others_took(server: Server) -> None:
    """An answer that comes too late is not lost: it can be added to those of others."""
    (id,) = record(server, "late", 1)
    task = create_task(server, "late")
    reviewer = invite(server, task)
    here = f"/feedback/{task['id']}/grade"
    form = hidden(reviewer.visit(here).body)
    lease = f"/api/v1/feedback_task/{task['id']}/leases/{id}/renew"
    server.send("POST", lease, {"reviewer": "qa-2", "lease_s": 0.001})
    post = {"task_id": task["id"], "json_values": {"relevance": 1}, "completion_ids": [id]}
    server.send("POST", "/api/v1/feedback", post)
    late = reviewer.submit(here, **form, **{"value.relevance": "4"})
    assert late.status == 409 and "Add mine as well" in late.body.decode()
    reviewer.submit(here, **hidden(late.body), action="add", **{"value.relevance": "4"})
    assert sorted(each["json_values"]["relevance"] for each in list_given(server, task)) == [1, 5]


def test_what_others_hold_is_said(server: Server) -> None:
    """A reviewer for whom nothing is free learns that others hold the rest, and has not stopped."""
    record(server, "held", 1)
    task = create_task(server, "held")
    here = f"/feedback/{task['id']}/grade"
    invite(server, task, "first").visit(here)
    page = invite(server, task, "second").visit(here).body.decode()
    assert "Other reviewers hold the last 1 completion." in page and "You stopped" not in page


def test_the_model_is_hidden(server: Server) -> None:
    """A task that hides the model shows nothing of it, on no address of the item."""
    (id,) = record(server, "hides", 1)
    task = create_task(server, "hides", hide_model=True)
    reviewer = invite(server, task)
    item = f"/feedback/{task['id']}/items/{id}"
    for path in (f"/feedback/{task['id']}/grade", f"{item}/tokens", f"{item}/text/0/0"):
        assert "secret-model" not in reviewer.visit(path).body.decode()


def test_a_model_that_another_task_hides_is_hidden(server: Server) -> None:
    """A reviewer learns no hidden model from a second task that shows it, nor from its queue."""
    (id,) = record(server, "hides-too", 1)
    create_task(server, "hides-too", hide_model=True)
    open_task = create_task(server, "hides-too", reviewers_wanted=3)
    reviewer = invite(server, open_task)
    here = f"/feedback/{open_task['id']}"
    for path in (f"{here}/grade", f"{here}/grade?item={id}", f"{here}/items/{id}/tokens"):
        reply = reviewer.visit(path)
        assert reply.status == 200 and "secret-model" not in reply.body.decode()
    assert "secret-model" in Visitor(server).visit(f"{here}/grade?item={id}").body.decode()
    made = server.send(
        "POST", "/v1/organization/admin_api_keys", {"name": "g", "scopes": ["grade"]}
    )
    path = f"/api/v1/feedback_task/{open_task['id']}/next"
    for key, is_shown in ((made.json["value"], False), ("", True)):
        taken = server.send("POST", path, {"reviewer": f"of {key}"[:20]}, key=key)
        assert taken.json["completion"]["id"] == id
        assert (b"secret-model" in taken.body) is is_shown


def test_others_are_seen_only_after_ones_own(server: Server) -> None:
    """In a blind task, others' answers come after one's own."""
    (id,) = record(server, "blind", 1)
    task = create_task(server, "blind", reviewers_wanted=2)
    post = {"task_id": task["id"], "json_values": {"relevance": 1}, "completion_ids": [id]}
    server.send("POST", "/api/v1/feedback", {**post, "reviewer": "zoe", "comment": "hm"})
    reviewer = invite(server, task)
    here = f"/feedback/{task['id']}/grade"
    page = reviewer.visit(here)
    assert "zoe" not in page.body.decode()
    reviewer.submit(here, **hidden(page.body), **{"value.relevance": "4"})
    assert "zoe" in reviewer.visit(f"{here}?item={id}").body.decode()


@pytest.mark.parametrize("action", ["save", "skip", "leave", "add"])
def test_a_form_without_a_token(server: Server, action: str) -> None:
    """Nothing is graded, skipped or given back by a page of another site."""
    record(server, f"token-{action}", 1)
    task = create_task(server, f"token-{action}")
    reviewer = invite(server, task)
    here = f"/feedback/{task['id']}/grade"
    form = hidden(reviewer.visit(here).body)
    reviewer.csrf = "forged"
    refused = reviewer.post(here, **form, action=action, **{"value.relevance": "1"})
    assert refused.status == 403 and not list_given(server, task)


def test_a_link_that_was_closed(server: Server) -> None:
    """Closing a link ends the session that came by it, and the link says so."""
    record(server, "closed", 1)
    task = create_task(server, "closed")
    reviewer = invite(server, task)
    path = f"/api/v1/feedback_task/{task['id']}/invitations"
    (invitation,) = server.send("GET", path).json["data"]
    server.send("DELETE", f"{path}/{invitation['id']}")
    assert reviewer.visit(f"/feedback/{task['id']}/grade").body.decode().count("Sign in")
    gone = Visitor(server, key=None).visit("/invitations/sk-briggs-nothing")
    assert "ask for a new link" in gone.body.decode()


def test_undo_takes_a_skip_back(server: Server) -> None:
    """The page after a skip has a button that takes it back, beside the next one in hand."""
    record(server, "unskips", 2)
    task = create_task(server, "unskips")
    reviewer = invite(server, task)
    here = f"/feedback/{task['id']}/grade"
    first = hidden(reviewer.visit(here).body)
    page = reviewer.submit(here, **first, action="skip", skip_reason="not my language")
    second = hidden(page.body)["completion_id"]
    (undo,) = re.findall(rf'<form method="post" action="({here}/unskip)">', page.body.decode())
    again = reviewer.submit(undo, completion_id=first["completion_id"])
    assert hidden(again.body)["completion_id"] == first["completion_id"] != second
    reviewer.submit(here, **hidden(again.body), **{"value.relevance": "1"})
    assert len(list_given(server, task)) == 1
    assert hidden(reviewer.visit(here).body)["completion_id"] == second
    assert reviewer.submit(undo, completion_id=second).status == 404, "it was never skipped"


def test_undo_of_a_skip_that_others_took(server: Server) -> None:
    """A skip cannot be taken back once others have graded the completion, and the page says so."""
    (id,) = record(server, "unskip-late", 1)
    task = create_task(server, "unskip-late")
    reviewer = invite(server, task)
    here = f"/feedback/{task['id']}/grade"
    reviewer.submit(here, **hidden(reviewer.visit(here).body), action="skip", skip_reason="hm")
    post = {"task_id": task["id"], "json_values": {"relevance": 1}, "completion_ids": [id]}
    server.send("POST", "/api/v1/feedback", post)
    late = reviewer.submit(f"{here}/unskip", completion_id=id)
    assert late.status == 409 and "Others took this completion" in late.body.decode()
    assert "You skipped this: hm" in reviewer.visit(f"{here}?item={id}").body.decode()


def test_a_decision_as_lead_is_no_grade_of_ones_own(server: Server) -> None:
    """Who decides for others has graded nothing by that: the count and the list leave it out."""
    ids = record(server, "lead-count", 2)
    task = create_task(server, "lead-count", reviewers_wanted=2)
    post = {"task_id": task["id"], "json_values": {"relevance": 1}, "completion_ids": ids[:1]}
    me = Visitor(server)
    here = f"/feedback/{task['id']}/grade"
    name = re.search(r'data-reviewer="([^"]*)"', me.visit(here).body.decode())
    assert name is not None
    server.send("POST", "/api/v1/feedback", {**post, "reviewer": name[1], "reviewer_kind": "lead"})
    page = me.visit(here).body.decode()
    assert "· 0 by you ·" in page and "graded: " not in page
    server.send("POST", "/api/v1/feedback", {**post, "reviewer": name[1]})
    assert "· 1 by you ·" in me.visit(here).body.decode()


def test_an_instruction_is_formatted(server: Server) -> None:
    """Markdown of an instruction is formatted wherever it is read, and nothing in it runs."""
    record(server, "markdown", 1)
    written = f"# Look\n\n* at the **tone** {EVIL}\n* [here](javascript:alert(1))"
    task = create_task(server, "markdown", instruction=written)
    made = server.send("POST", f"/api/v1/feedback_task/{task['id']}/invitations", {"name": "md"})
    reviewer = Visitor(server, key=None)
    invitation = reviewer.visit(made.json["path"]).body.decode()
    reviewer.submit(made.json["path"])
    grading = reviewer.visit(f"/feedback/{task['id']}/grade").body.decode()
    form = Visitor(server).visit(f"/feedback/{task['id']}?tab=form").body.decode()
    for page in (invitation, grading, form):
        assert "<strong>tone</strong>" in page and "<h1" in page
        assert EVIL not in page and 'href="javascript' not in page
    (summary,) = re.findall(r'<span class="cut" dir="auto">(Look[^<]*)</span>', grading)
    assert summary.startswith("Look at the tone"), "the short line has no marks of Markdown"


def suggest(server: Server, tag: str, **members: Any) -> dict[str, Any]:
    """A task with two completions, whose judge suggests 4 stars for each."""
    schema = {"required": ["stars"], "properties": {"stars": {"enum": [1, 2, 3, 4, 5]}}}
    task = create_task(server, tag, json_schema={"type": "object", **schema}, **members)
    body = {"task": task["id"], "model": "judge/m-1", "name": f"{tag}-judge"}
    judge = server.send("POST", "/api/v1/judges", body).json
    for number in range(2):
        answered = {
            "organization_id": "default",
            "status": "finished",
            "tags": [tag],
            "request": {"model": "m", "messages": [{"role": "user", "content": f"{number}"}]},
            "response": create_response(f"stars 4 of {number}"),
        }
        id = server.send("POST", "/api/v1/completions", answered).json["id"]
        path = f"/api/v1/judges/{judge['id']}/judgements"
        assert server.send("POST", path, {"completion_id": id}).json["status"] == "finished"
    path = f"/api/v1/feedback_task/{task['id']}"
    changed: dict[str, Any] = server.send("POST", path, {"suggesting_judge": judge["id"]}).json
    return changed


def test_a_suggestion_is_accepted_edited_or_rejected(server: Server) -> None:
    """With forms alone. What is rejected is answered anew; what is edited is filled in first."""
    task = suggest(server, "suggests", blind=False)
    reviewer, here = invite(server, task), f"/feedback/{task['id']}/grade"
    page = reviewer.visit(here)
    text = page.body.decode()
    assert "suggests-judge</span> suggests" in text and "as it says" in text
    page = reviewer.submit(here, **hidden(page.body), action="accept")
    filled = reviewer.submit(here, **hidden(page.body), action="fill")
    assert 'value="3" checked' in filled.body.decode()
    rejected = reviewer.submit(here, **hidden(page.body), action="reject")
    assert "You rejected the suggestion" in rejected.body.decode()
    form = hidden(rejected.body)
    assert form["suggestion"] == "reject"
    reviewer.submit(here, **form, **{"value.stars": "0"})
    given = list_given(server, task)
    told = [
        (each["json_values"]["stars"], each["suggestion"]["outcome"])
        for each in given
        if each["reviewer"] == "qa-2"
    ]
    assert told == [(1, "rejected"), (4, "accepted")]


def test_a_blind_suggestion_comes_after_the_answer(server: Server) -> None:
    """Nothing of it is on the page before. Then it is kept apart, or taken."""
    task = suggest(server, "blindly")
    reviewer, here = invite(server, task), f"/feedback/{task['id']}/grade"
    page = reviewer.visit(here)
    for action in ("keep", "accept"):
        assert "as it says" not in page.body.decode()
        form = hidden(page.body)
        page = reviewer.submit(here, **form, **{"value.stars": "1"})
        text = page.body.decode()
        assert "You said" in text and "as it says" in text
        assert "Your answer is saved" in text and "You graded this before" not in text
        page = reviewer.submit(here, **hidden(page.body), action=action)
    told = [
        (each["json_values"]["stars"], each["suggestion"]["outcome"])
        for each in list_given(server, task)
        if each["reviewer"] == "qa-2"
    ]
    assert told == [(4, "accepted"), (2, "rejected")]
