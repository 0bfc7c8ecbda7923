"""Test runs and their reports."""

from __future__ import annotations

from briggs.storage import Store
from briggs.types import test_runs
from briggs.types.completions import current_time_us


async def test_a_report(store: Store) -> None:
    """A report is stored byte for byte, for a sender with the secret, until the URL expires."""
    now = current_time_us()
    for id, expires_at in (("open", now + 60_000_000), ("expired", now - 1)):
        await store.test_runs.create(
            test_runs.TestRun(
                id=id,
                organization_id="default",
                name="nightly",
                upload_hash="hash",
                upload_expires_at=expires_at,
            )
        )
    report = b'{"summary":  {"passed": 2}}\n'
    assert await store.test_runs.report("open", report, upload_hash="hash")
    assert not await store.test_runs.report("open", b"{}", upload_hash="other")
    assert not await store.test_runs.report("expired", report, upload_hash="hash")
    found = await store.test_runs.retrieve("open", organization_id="default")
    assert found is not None
    run, kept = found
    assert kept == report
    assert run.reported_at is not None
    assert await store.test_runs.retrieve("open", organization_id="other") is None
    assert await store.test_runs.list(organization_id="default", limit=1, offset=2) == []
