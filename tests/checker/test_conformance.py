"""The built-in model and the cases: what they break raw, and that Briggs hands on no error."""

from __future__ import annotations

from pathlib import Path

import pytest

from briggs.checker import Endpoint, ProbeRequest, Result, check_endpoint, judge
from tests.checker.llama import KEY, open_llama
from tests.checker.planted import is_refused
from tests.processes import Server, list_cases, load_case, run_server


async def check(url: str, *, model: str, key: str) -> list[Result]:
    async with Endpoint(url, model=model, key=key) as endpoint:
        return [result async for result in check_endpoint(endpoint)]


async def test_llama_breaks_rules() -> None:
    """llama.cpp's own server leaves out what is required, and has usage twice."""
    with open_llama() as url:
        results = await check(url, model="briggs-tiny", key=KEY)
    findings = [finding for result in results for finding in result.findings]
    assert {finding.rule for finding in findings} >= {"E5", "L2", "S8", "H2"}


async def test_briggs_breaks_none(tmp_path: Path) -> None:
    """Through Briggs the same model breaks no rule, and refuses what it cannot do."""
    with run_server(tmp_path / "data") as server:
        results = await check(f"{server.url}/v1", model="local/briggs-tiny", key=server.key)
    assert {result.probe: result.findings for result in results if result.verdict == "fail"} == {}
    unanswered = {result.probe for result in results if result.verdict not in ("pass", "warn")}
    assert unanswered == {"tools-required", "tools-named", "stream-tools"}


@pytest.mark.parametrize("id", list_cases())
async def test_cases_leave_without_an_error(server: Server, id: str) -> None:
    """Whatever an upstream sends, the checker finds no error in what Briggs makes of it."""
    async with Endpoint(f"{server.url}/v1", model=f"{id}/m-1", key=server.key) as endpoint:
        exchange = await endpoint.ask(
            ProbeRequest({**load_case(id)["request"], "model": f"{id}/m-1"})
        )
    errors = [finding for finding in judge(exchange) if finding.severity == "error"]
    assert is_refused(exchange) or errors == []
