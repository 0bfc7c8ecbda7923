"""Reads scorers from the command line, and runs those that are Python functions."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

import click
import msgspec

from briggs.client import AsyncClient, EvalAnswer
from briggs.types import json
from briggs.types.evals import REASON_LENGTH_MAX, ScorerKind

_VALUES = {
    "regex": "pattern",
    "numeric": "tolerance",
    "fuzzy": "threshold",
    "bleu": "threshold",
    "rouge": "threshold",
    "chrf": "threshold",
}
"""What a value behind the kind is."""
_FLAGS = {
    ("exact", "ignore-case"): "ignore_case",
    ("includes", "ignore-case"): "ignore_case",
    ("tool_calls", "names"): "names_only",
}
KINDS = [each for each in get_args(ScorerKind) if each != "external"]
SENT_AT_ONCE = 500

Scoring = Callable[[str, Mapping[str, Any]], Any]
"""Gets an answer's text and its sample. Returns a bool, a number, or a number and a reason."""


class WantedScorer(NamedTuple):
    """A scorer as the server takes it, and its function if it is one of Python."""

    options: Mapping[str, Any]
    function: Scoring | None = None

    @property
    def name(self) -> str:
        """The name in the report."""
        name: str = self.options.get("name") or self.options["kind"]
        return name


def read_scorer(said: str) -> WantedScorer:
    """Read `KIND`, `KIND:VALUE`, `KIND:{OPTIONS}` or `python:FILE:FUNCTION`.

    Raises `click.UsageError`.
    """
    kind, _, value = said.partition(":")
    kind = kind.strip().replace("-", "_")
    if kind == "python":
        return _read_python(value)
    if kind not in KINDS:
        raise click.UsageError(f"{said!r} is no scorer: use one of {', '.join(KINDS)}, python")
    if value.startswith("{") and kind != "json_schema":
        return WantedScorer({"kind": kind, **_read_object(said, value)})
    if kind == "json_schema":
        text = Path(value[1:]).read_text("utf-8") if value.startswith("@") else value
        return WantedScorer({"kind": kind, "json_schema": _read_object(said, text)})
    if not value:
        return WantedScorer({"kind": kind})
    if flag := _FLAGS.get((kind, value)):
        return WantedScorer({"kind": kind, flag: True})
    if kind == "judge":
        judge, _, field = value.partition(":")
        return WantedScorer(
            {"kind": kind, "name": judge, "judge": judge, **({"field": field} if field else {})}
        )
    option = _VALUES.get(kind)
    if option is None:
        raise click.UsageError(f"{said!r} is wrong: {kind} takes no such value")
    return WantedScorer({"kind": kind, option: value if option == "pattern" else _number(said)})


async def score_answers(
    client: AsyncClient, run_id: str, dataset: str, scorers: Sequence[WantedScorer]
) -> int:
    """Score the answers of a run by Python functions, and send the scores. Returns how many.

    An answer that has a value already is left out.
    """
    functions = list_functions(scorers)
    if not functions:
        return 0
    samples = [sample async for sample in client.datasets.export(dataset)]
    found: list[dict[str, Any]] = []
    count = 0
    async for answer in client.eval_runs.answers(run_id):
        scores = list_scores(functions, answer, msgspec.to_builtins(samples[answer.sample]))
        count += bool(scores)
        found += scores
        if len(found) >= SENT_AT_ONCE:
            await client.eval_runs.add_scores(run_id, found)
            found = []
    if found:
        await client.eval_runs.add_scores(run_id, found)
    return count


def list_functions(scorers: Sequence[WantedScorer]) -> dict[str, Scoring]:
    """The scorers that are Python functions, by their names."""
    return {each.name: each.function for each in scorers if each.function is not None}


def list_scores(
    functions: Mapping[str, Scoring], answer: EvalAnswer, sample: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """What functions say of an answer, as the server takes it. What has a value is left out."""
    if answer.status != "answered" or answer.text is None:
        return []
    known = {each.scorer for each in answer.scores if each.value is not None}
    return [_score(name, functions[name], answer, sample) for name in functions.keys() - known]


def _score(
    name: str, function: Scoring, answer: EvalAnswer, sample: Mapping[str, Any]
) -> dict[str, Any]:
    value, reason = None, ""
    try:
        said = function(answer.text or "", sample)
        value, reason = said if isinstance(said, tuple) else (said, "")
        value = float(value)
        if not 0 <= value <= 1:
            value, reason = None, "it returned a number that is not from 0 to 1"
    except Exception as error:
        value, reason = None, f"{type(error).__name__}: {error}"
    return {
        "sample": answer.sample,
        "target": answer.target,
        "repeat": answer.repeat,
        "scorer": name,
        "value": value,
        "reason": str(reason)[:REASON_LENGTH_MAX],
    }


def _read_python(value: str) -> WantedScorer:
    file, _, name = value.rpartition(":")
    if not file or not name:
        raise click.UsageError(f"'python:{value}' is no scorer: write python:FILE.py:FUNCTION")
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    if spec is None or spec.loader is None or not Path(file).is_file():
        raise click.UsageError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise click.ClickException(f"{file} failed: {type(error).__name__}: {error}") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise click.UsageError(f"{file} has no function '{name}'")
    return WantedScorer({"kind": "external", "name": name}, function)


def _read_object(said: str, text: str) -> dict[str, Any]:
    try:
        value = json.decode(text)
    except msgspec.DecodeError as error:
        raise click.UsageError(f"{said!r} is wrong: it is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise click.UsageError(f"{said!r} is wrong: it is not an object")
    return value


def _number(said: str) -> float:
    try:
        value = float(said.partition(":")[2])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise click.UsageError(f"{said!r} is wrong: it needs a number")
    return value
