"""Every noun of the client, against a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from msgspec import UNSET

from briggs.client import (
    AsyncClient,
    AuthenticationFailed,
    FeedbackTask,
    LoggedCompletion,
    NotFound,
    Refused,
)
from tests.cli.running import RunningServer
from tests.processes import create_response

REQUEST = {"model": "elsewhere", "messages": [{"role": "user", "content": "one"}]}
SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "integer", "minimum": 1, "maximum": 5}},
    "required": ["score"],
}


@pytest.fixture
async def client(server: RunningServer) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(server.url, server.api_key) as opened:
        yield opened


@pytest.fixture
def tag() -> Iterator[str]:
    """A tag that no other test has."""
    _count[0] += 1
    yield f"nouns-{_count[0]}"


_count = [0]


async def tell(client: AsyncClient, tag: str, count: int = 1) -> list[LoggedCompletion]:
    return [
        await client.completions.create(REQUEST, create_response(), tags=[tag])
        for _ in range(count)
    ]


async def create_task(client: AsyncClient, tag: str, *, reviewers_wanted: int = 1) -> FeedbackTask:
    return await client.feedback_tasks.create(
        tag,
        SCHEMA,
        instruction="How good?",
        completion_tags_selector=[tag],
        reviewers_wanted=reviewers_wanted,
    )


async def test_a_call_is_told_in_two_pieces(client: AsyncClient, tag: str) -> None:
    """A started call and its end under the same id are one completion."""
    started = await client.completions.create(REQUEST, status="started", tags=[tag])
    ended = await client.completions.create(
        REQUEST, create_response(), id=started.id, duration_ms=250
    )
    assert ended.id == started.id
    item = await client.completions.retrieve(started.id)
    assert (item.briggs.status, item.briggs.tags) == ("finished", [tag])
    assert item.briggs.duration_ms == 250


async def test_tags_and_metadata_change(client: AsyncClient, tag: str) -> None:
    """Metadata and tags can be replaced separately. A deleted completion is gone."""
    [told] = await tell(client, tag)
    await client.completions.update(told.id, tags=[f"{tag}-new"])
    item = await client.completions.update(told.id, metadata={"a": "b"})
    assert (item.briggs.tags, item.metadata) == ([f"{tag}-new"], {"a": "b"})
    assert (await client.completions.delete(told.id)).deleted
    with pytest.raises(NotFound):
        await client.completions.retrieve(told.id)


async def test_a_session_has_its_completions(client: AsyncClient, tag: str) -> None:
    """A session can be created, listed, and read with its completions and totals."""
    session = await client.sessions.create()
    for _ in range(2):
        await client.completions.create(REQUEST, create_response(), session_id=session.id)
    found = await client.sessions.retrieve(session.id)
    assert (found.totals.completions, found.totals.prompt_tokens) == (2, 10)
    assert [each.request for each in found.completions] == [REQUEST, REQUEST]
    assert session.id in [each.id for each in await client.sessions.list(limit=1000)]


async def test_a_task_is_made_changed_and_deleted(client: AsyncClient, tag: str) -> None:
    """A changed schema makes a new version. A deleted task stays readable."""
    task = await create_task(client, tag, reviewers_wanted=2)
    changed = await client.feedback_tasks.update(task.id, json_schema={"type": "object"})
    assert (changed.version, changed.reviewers_wanted) == (2, 2)
    assert task.id in [each.id for each in await client.feedback_tasks.list()]
    versions = await client.feedback_tasks.list_versions(task.id)
    assert [(each.version, each.json_schema) for each in versions] == [
        (1, SCHEMA),
        (2, {"type": "object"}),
    ]
    assert (await client.feedback_tasks.delete(task.id)).deleted
    assert (await client.feedback_tasks.retrieve(task.id)).archived_at


async def test_a_queue_is_worked_through(client: AsyncClient, tag: str) -> None:
    """Next, renew, release, skip and answer work until nothing is left, and the counts agree."""
    told = await tell(client, tag, 3)
    task = await create_task(client, tag)
    ungraded = [each.id for each in await client.completions.list_ungraded(limit=1000)]
    assert {each.id for each in told} <= set(ungraded)

    first = await client.feedback_tasks.next(task.id, reviewer="ann", order="oldest")
    assert first.completion is not None and first.lease is not None
    assert first.completion.id == told[0].id
    renewed = await client.feedback_tasks.renew(
        task.id, first.completion.id, reviewer="ann", lease_s=3600
    )
    assert renewed.expires_at_ms > first.lease.expires_at_ms
    await client.feedback_tasks.release(task.id, first.completion.id, reviewer="ann")
    await client.feedback_tasks.skip(task.id, told[1].id, "not mine", reviewer="ann")
    for id in (told[0].id, told[2].id):
        item = await client.feedback_tasks.next(task.id, reviewer="ann")
        assert item.completion is not None and item.completion.id == id
        await client.feedback.create(task.id, {"score": 4}, completion_ids=[id], reviewer="ann")
    nothing = await client.feedback_tasks.next(task.id, reviewer="ann")
    assert nothing.completion is None and nothing.progress
    progress = await client.feedback_tasks.progress(task.id)
    assert (progress.matching, progress.graded, progress.skipped) == (3, 2, 1)
    assert "score" in (await client.feedback_tasks.agreement(task.id)).fields
    assert progress.left_for_reviewer is UNSET
    own = await client.feedback_tasks.progress(task.id, reviewer="ann")
    assert (own.left, own.left_for_reviewer) == (1, 0)
    await client.feedback.create(task.id, {"score": 1}, completion_ids=[told[0].id], reviewer="ben")
    page = await client.feedback_tasks.disagreements(task.id, field="score")
    assert [each.fields for each in page.data] == [{"score": {"ann": 4, "ben": 1}}]


async def test_feedback_is_given_edited_and_found(client: AsyncClient, tag: str) -> None:
    """Feedback can be given once for each key, edited, filtered, exported and deleted."""
    told = await tell(client, tag, 2)
    task = await create_task(client, tag)
    ids = [each.id for each in told]
    given = await client.feedback.create(
        task.id, {"score": 2}, completion_tags_selector=[tag], idempotency_key=tag
    )
    again = await client.feedback.create(
        task.id, {"score": 2}, completion_tags_selector=[tag], idempotency_key=tag
    )
    assert again.id == given.id
    assert sorted(given.matched_completion_ids) == sorted(ids)
    edited = await client.feedback.update(given.id, json_values={"score": 5}, comment="better")
    assert (edited.version, edited.comment) == (2, "better")
    assert (await client.feedback.retrieve(given.id)).json_values == {"score": 5}
    versions = await client.feedback.list_versions(given.id)
    assert [each.json_values for each in versions] == [{"score": 2}, {"score": 5}]
    with pytest.raises(Refused) as refused:
        await client.feedback.update(given.id, json_values={"score": 9})
    assert [each["path"] for each in refused.value.problems] == ["json_values.score"]
    with pytest.raises(Refused, match="has changed"):
        await client.feedback.create(
            task.id, {"score": 2}, completion_ids=ids, task_version=7, idempotency_key=f"{tag}-7"
        )

    found = client.feedback.iterate(task_id=task.id, filter="score > 4")
    assert [each.id async for each in found] == [given.id]
    page = await client.feedback.list(task_id=task.id, filter="score < 5")
    assert (page.data, page.total) == ([], 0)
    exported = [line async for line in client.feedback.export(task_id=task.id)]
    assert [each["id"] for each in exported[0]["completions"]] != []
    assert exported[0]["task"]["name"] == tag
    assert (await client.feedback.delete(given.id)).deleted


async def test_feedback_turns_pages(client: AsyncClient, tag: str) -> None:
    """`iterate` yields all feedback once, or the first `limit`."""
    [told] = await tell(client, tag)
    task = await create_task(client, tag)
    for number in range(103):
        await client.feedback.create(
            task.id, {"score": 1}, completion_ids=[told.id], reviewer=f"r{number}"
        )
    found = [each.reviewer async for each in client.feedback.iterate(task_id=task.id)]
    assert found == [f"r{number}" for number in reversed(range(103))]
    some = [each async for each in client.feedback.iterate(task_id=task.id, limit=101)]
    assert len(some) == 101


async def test_a_refusal_names_what_is_wrong(client: AsyncClient, tag: str) -> None:
    """Values that the schema does not allow raise the server's message."""
    task = await create_task(client, tag)
    with pytest.raises(Refused, match="score") as refusal:
        await client.feedback.create(task.id, {"score": 9}, allow_unmatched_feedback=True)
    assert refusal.value.status == 400
    assert refusal.value.param


async def test_organizations_and_their_keys(client: AsyncClient, server: RunningServer) -> None:
    """A new organization has its own key, which cannot see the first organization."""
    made = await client.organizations.create("search-team", name="Search")
    assert made.key and made.key.value
    assert (await client.organizations.retrieve("search-team")).id == made.id
    assert {each.slug for each in await client.organizations.list()} >= {"default", "search-team"}
    async with AsyncClient(server.url, made.key.value) as theirs:
        assert [each.slug for each in await theirs.organizations.list()] == ["search-team"]
        assert [each async for each in theirs.completions.iterate()] == []
    key = await client.keys.create("reader", scopes=["read"], expires_in_s=3600)
    assert (key.scopes, key.expires_at is not None) == (["read"], True)


async def test_invitations(client: AsyncClient, server: RunningServer) -> None:
    """A reviewer is invited by a link, which is listed without its secret, and closed."""
    task = await client.feedback_tasks.create("invited", {"type": "object"})
    made = await client.feedback_tasks.invite(task.id, "qa-2", expires_in_s=3600)
    assert made.path and made.url == f"{server.url}{made.path}"
    (listed,) = await client.feedback_tasks.list_invitations(task.id)
    assert (listed.name, listed.task_id, listed.path, listed.url) == ("qa-2", task.id, UNSET, UNSET)
    assert made.id not in {each.id for each in (await client.keys.list()).data}
    async with AsyncClient(server.url, made.path.rpartition("/")[2]) as stranger:
        with pytest.raises(AuthenticationFailed, match="open its link"):
            await stranger.feedback_tasks.retrieve(task.id)
    await client.feedback_tasks.revoke_invitation(task.id, made.id)
    assert await client.feedback_tasks.list_invitations(task.id) == []
    with pytest.raises(NotFound):
        await client.feedback_tasks.revoke_invitation(task.id, made.id)


async def test_preferences(client: AsyncClient, tag: str) -> None:
    """A preference is feedback, and its pairs are read one by one."""
    first, second = await tell(client, tag, 2)
    given = await client.preferences.create([first.id, second.id], second.id, comment="better")
    assert given.json_values == {"best": second.id}
    pairs = [pair async for pair in client.preferences.export()]
    assert (pairs[-1].chosen_id, pairs[-1].rejected_id) == (second.id, first.id)
    assert pairs[-1].prompt == REQUEST["messages"]
    changed = await client.preferences.create([first.id, second.id], None)
    assert (changed.id, changed.json_values) == (given.id, {"best": None})


async def test_a_judge_is_made_changed_and_deleted(client: AsyncClient, tag: str) -> None:
    """A run ends although its model cannot be reached, and says why."""
    task = await create_task(client, tag)
    made = await client.judges.create(task.id, "local/nobody", name=tag, samples=2)
    assert (made.name, made.version, made.samples, made.watch) == (tag, 1, 2, None)
    changed = await client.judges.update(tag, model="local/no-one", watch={"sample": 0.5})
    assert changed.version == 2 and changed.watch is not None and changed.watch.sample == 0.5
    assert [each.model for each in await client.judges.list_versions(tag)] == [
        "local/nobody",
        "local/no-one",
    ]
    assert made.id in [each.id for each in await client.judges.list(limit=1000)]
    [told] = await tell(client, tag)
    begun = await client.judges.create_run(tag, limit=1)
    while begun.status == "running":
        begun = await client.judges.retrieve_run(tag, begun.id)
    assert (begun.status, begun.lacking) == ("failed", 1)
    assert (await client.judges.stop_run(tag, begun.id)).status == "failed"
    assert [each.id for each in await client.judges.list_runs(tag)] == [begun.id]
    with pytest.raises(NotFound):
        await client.judges.judge(tag, told.id)
    assert await client.judges.list_judgements(tag, status="finished") == []
    means = await client.judges.estimates(tag)
    assert (means.version, means.judged) == (2, 0)
    report = await client.judges.trust(tag, version=1)
    assert (report.version, report.lacking, report.graded) == (1, 0, 0)
    assert (await client.judges.delete(tag)).deleted
    with pytest.raises(NotFound):
        await client.judges.retrieve(tag)
