"""Writes docs/pictures: the pages over the data of `briggs demo --data`, in Chromium.

make screenshots                      # all
make screenshots ARGS="home results"  # those whose names begin so
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from string import Formatter
from typing import Literal, NamedTuple

from playwright.sync_api import Browser, Page, expect, sync_playwright

from briggs.cli.demonstration.fill import ask_model, fill
from briggs.cli.tour.child import ServerProcess, open_server_process
from briggs.client.sync import Client

PICTURES = Path(__file__).with_name("pictures")
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
WAIT_MS = 1_500
ROUNDS = 24
MADE_OF_CALLS = {"run", "dataset", "watch"}
"""What is made by so many calls that the pictures after it would show little else."""


class Picture(NamedTuple):
    """A page, and how it is looked at."""

    name: str
    path: str
    """With `{task}` and `{completion}` for the ids of the demonstration."""
    theme: Literal["light", "dark"] = "light"
    width: int = 1440
    height: int = 900
    act: Callable[[Page], object] | None = None
    """What to do before the picture is taken."""


def _run(page: Page) -> None:
    """Run what is in the playground, and wait for the end of all answers."""
    page.get_by_role("button", name="Run").first.click()
    expect(page.get_by_text("streams", exact=True)).to_have_count(0, timeout=60_000)


SHOWN: Sequence[Picture] = (
    Picture("home-light", "/", height=864),
    Picture("home-dark", "/", theme="dark", height=864),
    Picture("completions-light", "/completions?range=30d&peek={completion}", height=860),
    Picture("completion-light", "/completions/{completion}", height=760),
    Picture("completion-dark", "/completions/{completion}", theme="dark", height=760),
    Picture("session", "/sessions/{session}", width=1280, height=760),
    Picture("compare", "/compare?ids={completion},{other}", width=1280, height=860),
    Picture(
        "playground",
        "/playground?from={tiny}&model=local/briggs-tiny&model=local/briggs-tiny",
        height=600,
        act=_run,
    ),
    Picture("feedback-results", "/feedback/{task}", width=1280, height=860),
    Picture("grading-light", "/feedback/{task}/grade?item={completion}", width=1280),
    Picture("grading-phone", "/feedback/{task}/grade?item={completion}", width=390, height=844),
    Picture("evals", "/evals/{run}", width=1280, height=760),
    Picture("dataset", "/datasets/{dataset}", width=1280, height=620),
    Picture("judge", "/judges/{judge}", width=1280, height=860),
    Picture("prompts", "/prompts", width=1280, height=760),
    Picture("drift", "/drift/{watch}", width=1280, height=860),
    Picture("settings", "/settings", width=1280, height=760),
)


def main() -> None:
    wanted = tuple(sys.argv[1:])
    pictures = [each for each in SHOWN if each.name.startswith(wanted or ("",))]
    with open_server_process() as server:
        real = ask_model(server.url, server.api_key)
    PICTURES.mkdir(exist_ok=True)
    with open_server_process(prepare=lambda data: _fill(data, real)) as server:
        _take(server, pictures)


def _fill(data: Path, real: Sequence[object]) -> None:
    asyncio.run(fill(data, real=real))  # type: ignore[arg-type]


def _take(server: ServerProcess, pictures: Sequence[Picture]) -> None:
    late = [each for each in pictures if MADE_OF_CALLS.intersection(_find_names(each.path))]
    early = [each for each in pictures if each not in late]
    with Client(server.url, server.api_key) as client, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for group in filter(None, (early, late)):
            names = {name for each in group for name in _find_names(each.path)}
            ids = _find_ids(client, names)
            for each in group:
                _take_one(browser, client, each, url=server.url, ids=ids)
        browser.close()


def _take_one(
    browser: Browser, client: Client, picture: Picture, *, url: str, ids: Mapping[str, str]
) -> None:
    context = browser.new_context(
        base_url=url,
        color_scheme=picture.theme,
        viewport={"width": picture.width, "height": picture.height},
        has_touch=picture.width < 720,
        reduced_motion="reduce",
        timezone_id="Europe/Berlin",
    )
    page = context.new_page()
    page.goto(client.keys.create_sign_in_link())
    page.wait_for_url(lambda url: "/sign-in" not in url)
    page.goto(picture.path.format(**ids))
    if picture.act is not None:
        picture.act(page)
    page.wait_for_timeout(WAIT_MS)
    page.screenshot(path=PICTURES / f"{picture.name}.png")
    context.close()


def _find_names(path: str) -> Iterator[str]:
    return (name for _, name, _, _ in Formatter().parse(path) if name)


def _find_ids(client: Client, names: Collection[str]) -> dict[str, str]:
    """What the pictures show, by its name in their paths. Some of it is made only if needed."""
    tasks = client.feedback_tasks.list()
    [task] = [each for each in tasks if each.name.startswith("Support")]
    listed = client.completions.list(text="a reservation that our payment", limit=50).data
    answered = [each for each in listed if each.choices[0]["message"]["content"]]
    shown = max(answered, key=lambda each: (len(each.briggs.attempts), each.briggs.p_least or 0))
    other = client.completions.list(text="was charged once", status="finished", limit=1).data[0]
    [turn] = client.completions.list(text="Have a good trip", limit=1).data
    [tiny] = client.completions.list(text="What is Briggs?", limit=1).data
    return {
        "tiny": tiny.id,
        "completion": shown.id,
        "other": other.id,
        "session": turn.briggs.session_id or "",
        "task": task.id,
        "run": _run_eval(client) if {"run", "dataset"} & set(names) else "",
        "dataset": "sums@2",
        "judge": client.judges.list()[0].id,
        "watch": _watch(client) if "watch" in names else "",
    }


def _watch(client: Client) -> str:
    """A watch of the built-in model, with enough rounds for some looks."""
    watch = client.drift.create("local/briggs-tiny", window_rounds=8)
    for _ in range(ROUNDS):
        client.drift.ask(watch.id)
    return watch.id


def _run_eval(client: Client) -> str:
    """An eval of the built-in model, beside a run of an earlier version of its dataset."""
    sums = [{"id": f"{n} + {n + 3}", "input": f"What is {n} + {n + 3}?", "target": str(2 * n + 3)}
            for n in range(1, 13)]  # fmt: skip
    # Some questions of the first version lack a number, so their answers are wrong.
    vague = [{**each, "input": "What is the sum?"} if at % 3 == 1 else each
             for at, each in enumerate(sums)]  # fmt: skip
    datasets = [client.datasets.create("sums", each) for each in (vague, sums)]
    scorers = [{"kind": "includes"}, {"kind": "regex", "name": "short", "pattern": "^.{0,40}$"}]
    runs = [client.eval_runs.create(each.id, ["local/briggs-tiny"], scorers) for each in datasets]
    for run in runs:
        list(client.eval_runs.watch(run.id))
    return f"{runs[1].id}?baseline={runs[0].id}"


if __name__ == "__main__":
    main()
