"""Writes docs/conformance.md, and the probes into docs/check.md; with `--check`, fails if stale.

The verdicts come from running servers. `--check` runs none: it compares the names of the probes,
the rules and the cases only.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.checker.llama import KEY, open_llama
from tests.checker.planted import is_refused, open_planted, try_plant
from tests.checker.plants import PLANTS
from tests.processes import Upstream, list_cases, load_case, replay, run_server

from briggs.checker import (
    PROBES,
    CheckReport,
    Endpoint,
    ProbeRequest,
    Result,
    describe_cause,
    judge,
    list_rules,
    run_probe,
)
from briggs.rules import RULES, Finding

PAGE = Path(__file__).with_name("conformance.md")
CHECK = Path(__file__).with_name("check.md")
BEGIN, END = "<!-- probes -->\n", "<!-- /probes -->"
INTRODUCTION = """\
# Conformance

This page shows what [`briggs check`](check.md) finds. Each cell lists the broken
[rules](rules.md), with warnings in brackets; ✓ means that no rule is broken.
`python docs/generate_conformance.py` makes the page by running real servers.
"""
MODEL = f"""\
## The built-in model

llama.cpp's own server with the model `briggs-tiny` (xllamacpp {version("xllamacpp")}), alone and
behind Briggs.
"""
FOUND = """\
What llama.cpp breaks, by cause: those that break clients first.
"""
PLANTED = """\
## One violation of each rule

An endpoint that breaks exactly one rule is checked alone and through Briggs. Briggs mends the
answer, refuses it, or passes it on. What it passes on is not an error, or is part of what the model
said, which only the model can change. The record names it. The rules of requests are not listed,
since no answer can break them.
"""
CASES = """\
## Payloads of real servers

Each case is [a payload](../tests/cases/README.md) that a real server sends, as it came and as
Briggs passes it on. Briggs refuses what it cannot mend honestly.
"""


async def check_model(url: str, *, model: str, key: str) -> list[Result]:
    """The result of each probe."""
    async with Endpoint(url, model=model, key=key) as endpoint:
        return [await run_probe(probe, endpoint) for probe in PROBES]


async def check_plants() -> list[list[str]]:
    """A row for each rule: what Briggs does with an answer that breaks it."""
    rows = []
    with tempfile.TemporaryDirectory() as folder, open_planted(Path(folder)) as (upstream, server):
        for rule in PLANTS:
            planted = await try_plant(rule, upstream=upstream, server=server)
            rows.append([rule, RULES[rule].title, planted.outcome])
    return rows


async def check_cases(raw_url: str, url: str, key: str) -> list[list[str]]:
    """A row for each case: what is found in it, raw and through Briggs."""
    rows = []
    for id in list_cases():
        request = load_case(id)["request"]
        async with (
            Endpoint(f"{raw_url}/{id}/v1", model="m-1") as raw,
            Endpoint(url, model=f"{id}/m-1", key=key) as briggs,
        ):
            asks = [ProbeRequest({**request, "model": each.model}) for each in (raw, briggs)]
            rows.append([id, await _judge(raw, asks[0]), await _judge(briggs, asks[1])])
    return rows


async def write_page() -> str:
    """The whole page."""
    upstream = Upstream({id: replay(load_case(id)) for id in list_cases()})
    with (
        tempfile.TemporaryDirectory() as folder,
        open_llama() as llama,
        run_server(Path(folder) / "data", config=upstream.config()) as server,
    ):
        url = f"{server.url}/v1"
        raw = await check_model(llama, model="briggs-tiny", key=KEY)
        ours = await check_model(url, model="local/briggs-tiny", key=server.key)
        cases = await check_cases(f"http://127.0.0.1:{upstream.port}", url, server.key)
    upstream.close()
    verdicts = [[each.probe, _show_result(each)] for each in raw]
    for row, result in zip(verdicts, ours, strict=True):
        row.append(_show_result(result))
    return "\n".join(
        [
            INTRODUCTION,
            MODEL,
            _table(["probe", "raw", "through Briggs"], verdicts),
            FOUND,
            _list_broken(raw),
            PLANTED,
            _table(["rule", "what must be true", "through Briggs"], await check_plants()),
            CASES,
            _table(["case", "raw", "through Briggs"], cases),
        ]
    )


def write_probes() -> str:
    """docs/check.md with its table of the probes."""
    page = CHECK.read_text("utf-8")
    before, after = page.partition(BEGIN)[0], page.partition(END)[2]
    rows = [[f"`{probe.name}`", probe.title] for probe in PROBES]
    return f"{before}{BEGIN}{_table(['probe', 'asks for'], rows)}{END}{after}"


def is_fresh() -> bool:
    """Whether the pages name every probe and every case, and nothing else."""
    named = re.findall(r"^\| (\w[\w-]*) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    probes = [probe.name for probe in PROBES]
    asked = ["probe", *probes, "rule", *PLANTS, "case", *list_cases()]
    return named == asked and CHECK.read_text("utf-8") == write_probes()


async def _judge(endpoint: Endpoint, ask: ProbeRequest) -> str:
    """The findings of a case. A proper error is a refusal."""
    exchange = await endpoint.ask(ask)
    return "refused" if is_refused(exchange) else _show(judge(exchange))


def _show_result(result: Result) -> str:
    if result.verdict in ("unsupported", "not run"):
        return result.verdict
    return _show(result.findings)


def _show(findings: list[Finding]) -> str:
    """The rules that are broken, with warnings in brackets."""
    errors = list_rules(finding for finding in findings if finding.severity == "error")
    warnings = [f"({rule})" for rule in list_rules(findings) if rule not in errors]
    return ", ".join([*errors, *warnings]) or "✓"


def _list_broken(results: list[Result]) -> str:
    """Each cause, with the clients that it breaks."""
    lines = []
    for cause in CheckReport(subject="", results=results).causes:
        place = f"`{cause.path}` in {cause.probes[0]}" if cause.path else f"In {cause.probes[0]}"
        facts = dict(describe_cause(cause))
        message = f"{cause.message.rstrip('.')}."
        clients = f" Breaks {facts['clients']}." if cause.clients else " Cosmetic."
        lines.append(f"- **{cause.rule}** {cause.title} {place}: {message}{clients}\n")
    return "".join(lines)


def _table(names: list[str], rows: list[list[str]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    if "--check" not in sys.argv:
        CHECK.write_text(write_probes(), "utf-8")
        PAGE.write_text(asyncio.run(write_page()), "utf-8")
    elif not is_fresh():
        sys.exit("docs/conformance.md is stale: run python docs/generate_conformance.py")
