"""What a real model says as a judge, through a real server, and how near people it is.

A set has a pool of graded snippets, with one person's grade each, and others that are held out. For
each size of the pool there is a task, whose judge learns from so many grades. It judges what is
held out, and some of the pool for its calibration. All judgements stay in the data folder, so a run
that was stopped goes on, and asks nothing twice.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from tests.processes import Server

from bench.snippets import HIGHEST, LOWEST, Snippet
from briggs.estimates.calibration import Scale, fit_isotonic, fit_line
from briggs.judges.baseline import fit_numbers
from briggs.judges.numbers import calibrate_numbers

POOL, HELD_OUT = 1_200, 200
CHUNK = 25
KEPT = 200
"""How many examples a version of a judge keeps. More grades do not change what it is asked."""
SCHEMA = {
    "type": "object",
    "required": ["mood"],
    "properties": {
        "mood": {
            "type": "integer",
            "minimum": LOWEST,
            "maximum": HIGHEST,
            "description": f"{LOWEST} is most negative, 5 is neutral, {HIGHEST} is most positive.",
        },
        # A reason that may be left out, as in all examples: it would take most of the time.
        "reason": {"type": "string"},
    },
}
TASKS = "/api/v1/feedback_task"
JUDGES = "/api/v1/judges"
_PLAIN_TEMPLATE = (
    "{% for each in messages %}"
    "{% if each['role'] == 'user' %}Question:\n{{ each['content'] }}\n\n"
    "{% elif each['role'] == 'assistant' %}Answer:\n{{ each['content'] }}\n\n"
    "{% else %}{{ each['content'] }}\n\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}Answer:\n{% endif %}"
)
"""What a model that was made to go on with texts, without a chat template, is asked with."""


class Parts(NamedTuple):
    """A set, divided."""

    name: str
    pool: Sequence[Snippet]
    grades: Sequence[int]
    """One person's grade of each in the pool."""
    held_out: Sequence[Snippet]


def divide(name: str, snippets: Sequence[Snippet], *, seed: int = 1) -> Parts:
    """The same pool and the same held-out snippets each time."""
    draw = random.Random(seed)
    # Of equal texts one is kept, so that none is on both sides.
    mixed = list({each.text: each for each in snippets}.values())
    draw.shuffle(mixed)
    pool, held_out = mixed[:POOL], mixed[POOL : POOL + HELD_OUT]
    return Parts(name, pool, [draw.choice(each.ratings) for each in pool], held_out)


class Model(NamedTuple):
    """A GGUF file to judge with. None is the model that is built in."""

    name: str
    path: Path | None = None
    is_base: bool = False
    """Whether it has no chat template."""


def write_config(model: Model, folder: Path) -> str:
    """The `briggs.toml` for a model: one thread, and no haste."""
    lines = ["[local]", "threads = 1", "parallel = 4", "stall_timeout_s = 600"]
    lines += [] if model.path is None else ["context_tokens = 2048"]
    if model.path is not None:
        lines += [f"[local.models.{model.name}]", f'path = "{model.path}"']
    if model.is_base:
        template = folder / "plain.jinja"
        template.write_text(_PLAIN_TEMPLATE)
        lines.append(f'chat_template_file = "{template}"')
    return "\n".join(lines) + "\n"


class Said(NamedTuple):
    """What a judge said of a snippet."""

    likeliest: float
    weighted: float


class Judged(msgspec.Struct):
    """What a model said after it learnt from so many grades, by text."""

    model: str
    set: str
    grades: int
    said: dict[str, Said]
    failures: dict[str, int]


class Bench:
    """A server with a judge of one model for each size of the pool of one set."""

    def __init__(self, server: Server, model: Model, parts: Parts) -> None:
        self._server = server
        self._model = model
        self._parts = parts
        self._ids = self._import_all()

    def judge(self, grades: int, tag: str, *, until: float) -> str:
        """Judge what has a tag. Returns why it ended; stops at a time of the monotonic clock."""
        path = f"{JUDGES}/{self._find_judge(grades)}/runs"
        run = self._ask("POST", path, {"filter": f'tag = "{tag}"'})
        while run["status"] == "running" and time.monotonic() < until:
            time.sleep(1)
            run = self._ask("GET", f"{path}/{run['id']}")
        if run["status"] == "running":
            run = self._ask("POST", f"{path}/{run['id']}/stop", {})
        return f"{run['status']}: {run['judged']} judged, {run['failures']} {run['message']}"

    def read(self, grades: int) -> Judged:
        """What the judge of so many grades has said so far."""
        path = f"{JUDGES}/{self._find_judge(grades)}/judgements?limit=100"
        texts = {id: text for text, id in self._ids.items()}
        found = Judged(self._model.name, self._parts.name, grades, {}, {})
        for offset in range(0, POOL + HELD_OUT, 100):
            page = self._ask("GET", f"{path}&offset={offset}")["data"]
            for each in page:
                if each["status"] == "failed":
                    kind = each["failure"]
                    found.failures[kind] = found.failures.get(kind, 0) + 1
                elif each["status"] == "finished":
                    shares = each["probabilities"]["mood"]
                    likeliest = max(range(len(shares)), key=shares.__getitem__) + LOWEST
                    said = Said(likeliest, each["scores"]["mood"])
                    found.said[texts[each["completion_id"]]] = said
            if len(page) < 100:
                break
        return found

    def _import_all(self) -> dict[str, str]:
        """Record all snippets, tagged by what they are for. Their ids, by text."""
        name = self._parts.name
        ids: dict[str, str] = {}
        for kind, snippets in (("pool", self._parts.pool), ("held", self._parts.held_out)):
            for start in range(0, len(snippets), 500):
                some = snippets[start : start + 500]
                lines = [
                    json.dumps(
                        {
                            "source_id": f"{name}:{kind}:{start + place}",
                            "tags": [name, write_tag(name, kind, start + place)],
                            "request": _ask_for("a sentence of a review"),
                            "response": _answer(each.text),
                        }
                    )
                    for place, each in enumerate(some)
                ]
                body = "\n".join(lines).encode()
                found = self._ask("POST", "/api/v1/completions/import", body)["data"]
                ids |= {each.text: outcome["id"] for each, outcome in zip(some, found, strict=True)}
        return ids

    def _find_judge(self, grades: int) -> str:
        """The judge that learnt from so many grades. The first time it is made."""
        name = f"{self._model.name}-{self._parts.name}-{grades}"
        listed = self._ask("GET", f"{JUDGES}?limit=100")["data"]
        if any(each["name"] == name for each in listed):
            return name
        task = self._ask("POST", TASKS, {
            "organization_id": "default",
            "name": name,
            "instruction": "How positive is this sentence?",
            "json_schema": SCHEMA,
            "completion_tags_selector": [self._parts.name],
        })  # fmt: skip
        for snippet, grade in list(zip(self._parts.pool, self._parts.grades, strict=True))[:grades]:
            self._ask("POST", "/api/v1/feedback", {
                "task_id": task["id"],
                "json_values": {"mood": grade},
                "completion_ids": [self._ids[snippet.text]],
                "reviewer": "ann",
            })  # fmt: skip
        model = f"local/{self._model.name}"
        self._ask("POST", JUDGES, {"task": task["id"], "model": model, "name": name})
        return name

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        reply = self._server.send(method, path, body)
        assert reply.status == 200, reply.body
        return reply.json


def list_steps(
    names: Sequence[str], sizes: Sequence[int], *, held_out: int, calibrated_by: int
) -> Iterator[tuple[str, int, str]]:
    """What to judge, as a set, a size of its pool and a tag: the half of each, then the rest."""
    for half in (0, 1):
        for size in sizes:
            for name in names:
                for kind, count in (("held", held_out), ("pool", min(size, calibrated_by))):
                    chunks = range(count // CHUNK)
                    middle = -(-len(chunks) // 2)
                    for chunk in chunks[middle:] if half else chunks[:middle]:
                        yield name, size, write_tag(name, kind, chunk * CHUNK)


def write_tag(name: str, kind: str, place: int) -> str:
    """The tag of a chunk of snippets."""
    return f"{name}-{kind}-{place // CHUNK}"


def _ask_for(what: str) -> dict[str, Any]:
    return {"model": "people", "messages": [{"role": "user", "content": f"Write {what}."}]}


def _answer(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"model": "people", "choices": [choice]}


# ---- What comes of it -------------------------------------------------------------------------


class Fit(NamedTuple):
    """How near something is to the mean of people: Pearson's correlation, and the mean error."""

    r: float | None
    error: float


class Row(NamedTuple):
    """The figures of one judge."""

    held_out: int
    """How many of the held-out snippets were judged."""
    calibrated_by: int
    """How many of the pool were judged."""
    likeliest: Fit
    weighted: Fit
    calibrated: Fit | None
    """None without enough of the pool."""


def measure_judge(parts: Parts, grades: int, said: Mapping[str, Said]) -> Row | None:
    """The figures of a judge of so many grades. None if it judged too few that are held out."""
    known = [each for each in parts.held_out if each.text in said]
    own = zip(parts.pool[:grades], parts.grades, strict=False)
    learnt = [(said[each.text].weighted, float(grade)) for each, grade in own if each.text in said]
    if len(known) < CHUNK:
        return None
    means = [each.mean for each in known]
    weighted = [said[each.text].weighted for each in known]
    calibrated = None
    if len(learnt) >= CHUNK:
        scale = fit_best([score for score, _ in learnt], [grade for _, grade in learnt])
        calibrated = measure_fit([scale(each) for each in weighted], means)
    return Row(
        len(known),
        len(learnt),
        measure_fit([said[each.text].likeliest for each in known], means),
        measure_fit(weighted, means),
        calibrated,
    )


def fit_best(scores: Sequence[float], grades: Sequence[float]) -> Scale:
    """The calibration that a report chooses by cross-fitting, fitted to all."""
    method, _ = calibrate_numbers(scores, grades)
    return (fit_isotonic if method == "isotonic" else fit_line)(scores, grades)


def measure_words(parts: Parts, grades: int) -> Fit:
    """A guess by the words of so many graded snippets, without a model."""
    texts = [each.text for each in parts.pool[:grades]]
    read = fit_numbers(texts, [float(each) for each in parts.grades[:grades]])
    means = [each.mean for each in parts.held_out]
    return measure_fit([read(each.text) for each in parts.held_out], means)


def measure_constant(parts: Parts) -> Fit:
    """The mean of all grades, for each."""
    middle = statistics.fmean(parts.grades)
    return Fit(None, statistics.fmean(abs(each.mean - middle) for each in parts.held_out))


def measure_person(parts: Parts) -> Fit:
    """One person against the mean of the others, on average over the people."""
    fits = []
    for seat in range(min(len(each.ratings) for each in parts.held_out)):
        one = [float(each.ratings[seat]) for each in parts.held_out]
        others = [
            (sum(each.ratings) - each.ratings[seat]) / (len(each.ratings) - 1)
            for each in parts.held_out
        ]
        fits.append(measure_fit(one, others))
    rs = [fit.r for fit in fits if fit.r is not None]
    return Fit(statistics.fmean(rs), statistics.fmean(fit.error for fit in fits))


def measure_fit(values: Sequence[float], means: Sequence[float]) -> Fit:
    """Of what was said with what people say on average."""
    error = statistics.fmean(abs(a - b) for a, b in zip(values, means, strict=True))
    is_constant = len(set(values)) < 2
    return Fit(None if is_constant else statistics.correlation(values, means), error)


def write_judges(parts: Sequence[Parts], judged: Sequence[Judged]) -> Iterator[str]:
    """A line for each set and number of grades: without a model, then with each."""
    yield (
        "| set, grades | one person | words alone | model | held out, calibrated by "
        "| likeliest | weighted | calibrated |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for each in parts:
        name = each.name.removesuffix("ReviewSnippets")
        for grades in (25, 100, 400, 1_200):
            person, words = measure_person(each), measure_words(each, grades)
            begin = f"| {name}, {grades:,} | {_show(person)} | {_show(words)} |"
            # A version keeps `KEPT` examples, so it is asked the same after more grades.
            asked = min(grades, max((found.grades for found in judged), default=grades))
            rows = [
                (found.model, row)
                for found in judged
                if (found.set, found.grades) == (each.name, asked)
                and (row := measure_judge(each, grades, found.said)) is not None
            ]
            for model, row in rows:
                fits = (row.likeliest, row.weighted, row.calibrated)
                shown = " | ".join(_show(fit) for fit in fits)
                yield f"{begin} {model} | {row.held_out}, {row.calibrated_by} | {shown} |"
            if not rows:
                yield f"{begin} | | | | |"


def _show(fit: Fit | None) -> str:
    if fit is None:
        return ""
    return f"{'' if fit.r is None else f'{fit.r:.2f}'} / {fit.error:.2f}"
