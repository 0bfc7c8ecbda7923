"""Measures what judges learn from people's grades, and whether what is said of them holds.

    pip download --no-deps --no-binary :all: vaderSentiment==3.3.2
    python -m bench.learning judges vaderSentiment-3.3.2.tar.gz [--base NAME=FILE.gguf]
    python -m bench.learning coverage vaderSentiment-3.3.2.tar.gz
    python -m bench.learning sentences vaderSentiment-3.3.2.tar.gz
    python -m bench.learning tables vaderSentiment-3.3.2.tar.gz --write

`judges` lets a model judge, through a real server, for so many minutes at most. `coverage` draws
graded snippets again and again, and counts how often an interval of 95 % has the true value in it.
`sentences` counts what a report says of judges whose worth is known. What was measured stays in the
folder, and the next run goes on with the rest. `tables` shows it, and `--write` puts it into
docs/judges.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec
from tests.processes import run_server

from bench.coverage import JUDGES, Cell, Simulated, Truth, measure_cell
from bench.judged import Bench, Model, divide, list_steps, measure_judge, write_config
from bench.snippets import SETS, read_snippets

SIZES = (400, 25, 100)
"""How many grades a judge learns from, in the order of judging. It keeps 200 examples at most, so
what it says after 1,200 grades is what it says after 400."""


def judge(arguments: argparse.Namespace) -> None:
    """Let the models judge, one after the other, and print their figures."""
    parts = [divide(name, read_snippets(arguments.sdist, name)) for name in arguments.sets]
    until = time.monotonic() + 60 * arguments.minutes
    for model in list_models(arguments):
        folder = arguments.folder.resolve() / model.name
        folder.mkdir(parents=True, exist_ok=True)
        with run_server(folder / "data", config=write_config(model, folder)) as server:
            benches = {each.name: (each, Bench(server, model, each)) for each in parts}
            for name, size, tag in list_steps(
                arguments.sets, SIZES, held_out=arguments.held_out, calibrated_by=arguments.by
            ):
                if time.monotonic() < until:
                    ended = benches[name][1].judge(size, tag, until=until)
                    print(f"{model.name}, {size} grades, {tag}: {ended}", flush=True)
            for each, bench in benches.values():
                for size in SIZES:
                    print(each.name, size, measure_judge(each, size, bench.read(size)), flush=True)


def list_models(arguments: argparse.Namespace) -> list[Model]:
    """The models that were named, or the one that is built in."""
    named = [
        Model(name, Path(path).resolve(), is_base)
        for is_base, listed in ((False, arguments.instruct), (True, arguments.base))
        for name, _, path in (each.partition("=") for each in listed)
    ]
    return named or [Model("briggs-tiny")]


def cover(arguments: argparse.Namespace) -> None:
    """Count the coverage of what was not counted before."""
    cells = read_cells(arguments.folder)
    done = {(cell.name, cell.count) for cell in cells if cell.draws == arguments.draws}
    for count in arguments.counts:
        for name, truth in list_truths(arguments):
            if (name, count) not in done:
                cells.append(measure_cell(name, count, arguments.draws, truth))
                print(cells[-1], flush=True)
                save(arguments.folder / "coverage.json", cells)


def list_truths(arguments: argparse.Namespace) -> Iterator[tuple[str, Callable[[], Truth] | None]]:
    """Evals, then each simulated judge of each set."""
    yield "evals", None
    for judge in JUDGES:
        for name in arguments.sets:
            yield f"{name}, {judge.name}", partial(_find_truth, arguments.sdist, name, judge)


def _find_truth(sdist: Path, name: str, judge: Simulated) -> Truth:
    return Truth(read_snippets(sdist, name), judge)


def read_cells(folder: Path) -> list[Cell]:
    """What was counted before."""
    path = folder / "coverage.json"
    return msgspec.json.decode(path.read_bytes(), type=list[Cell]) if path.exists() else []


def save(path: Path, value: object) -> None:
    """Write what was measured."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(value))


def main(given: Sequence[str] | None = None) -> None:
    """Measure what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=["judges", "coverage"])
    parser.add_argument("sdist", type=Path, help="the source distribution of vaderSentiment 3.3.2")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--folder", type=Path, default=Path(".cache/learning"))
    parser.add_argument("--base", nargs="*", default=[], metavar="NAME=FILE", help="base models")
    parser.add_argument("--instruct", nargs="*", default=[], metavar="NAME=FILE")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--held-out", type=int, default=200)
    parser.add_argument("--by", type=int, default=200, help="at most so many for calibration")
    parser.add_argument("--counts", nargs="+", type=int, default=[25, 60, 120])
    parser.add_argument("--draws", type=int, default=200)
    arguments = parser.parse_args(given)
    {"judges": judge, "coverage": cover}[arguments.what](arguments)


if __name__ == "__main__":
    main()
