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
import random
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec
from tests.processes import run_server

from bench.coverage import JUDGES, Cell, Simulated, Truth, measure_cell, write_coverage
from bench.judged import Bench, Judged, Model, divide, list_steps, write_config, write_judges
from bench.report import replace_table
from bench.sentences import (
    GAPS,
    Sentences,
    ask_person,
    count_sentences,
    know,
    simulate,
    write_sentences,
)
from bench.sentences import Judge as JudgeOfPeople
from bench.snippets import SETS, Snippet, read_snippets

PAGE = Path(__file__).parents[1] / "docs" / "judges.md"
PICTURE = 1_500
"""How many snippets stand for all, where each is judged."""
REAL_MIN = 75
"""A model has judged too few to draw from if there are fewer."""
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
            judged = [bench.read(size) for _, bench in benches.values() for size in SIZES]
        kept = [each for each in read_judged(arguments.folder) if each.model != model.name]
        save(arguments.folder / "judged.json", [*kept, *judged])


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


def count_all_sentences(arguments: argparse.Namespace) -> None:
    """Count the sentences about simulated judges, a person, and the models that have judged."""
    found = read_sentences(arguments.folder)
    done = {(each.set, each.judge, each.count) for each in found}
    for name in arguments.sets:
        snippets = read_snippets(arguments.sdist, name)
        some = random.Random(1).sample(snippets, PICTURE)
        judges = [simulate(some, gap) for gap in GAPS]
        judges += [ask_person(some), *list_real(name, snippets, read_judged(arguments.folder))]
        for judge in judges:
            for count in arguments.counts:
                if (name, judge.name, count) not in done:
                    found.append(count_sentences(name, judge, count, arguments.draws))
                    print(found[-1], flush=True)
                    save(arguments.folder / "sentences.json", found)


def read_sentences(folder: Path) -> list[Sentences]:
    """What was counted before."""
    path = folder / "sentences.json"
    return msgspec.json.decode(path.read_bytes(), type=list[Sentences]) if path.exists() else []


def list_real(
    name: str, snippets: Sequence[Snippet], judged: Sequence[Judged]
) -> Iterator[JudgeOfPeople]:
    """The models that judged enough of a set, after the most grades that they learnt from."""
    by_text = {each.text: each for each in snippets}
    for each in judged:
        if (each.set, each.grades) == (name, max(SIZES)) and len(each.said) >= REAL_MIN:
            known = [by_text[text] for text in each.said]
            yield know(each.model, known, [said.weighted for said in each.said.values()])


def write_tables(arguments: argparse.Namespace) -> None:
    """Show what was measured, and put it into the page with `--write`."""
    parts = [divide(name, read_snippets(arguments.sdist, name)) for name in arguments.sets]
    for name, lines in (
        ("judges", write_judges(parts, read_judged(arguments.folder))),
        ("coverage", write_coverage(read_cells(arguments.folder))),
        ("sentences", write_sentences(read_sentences(arguments.folder))),
    ):
        text = "\n".join(lines)
        print(f"\n{text}")
        if arguments.write:
            replace_table(PAGE, name, text)


def read_judged(folder: Path) -> list[Judged]:
    """What models have said."""
    path = folder / "judged.json"
    return msgspec.json.decode(path.read_bytes(), type=list[Judged]) if path.exists() else []


def read_cells(folder: Path) -> list[Cell]:
    """What was counted before."""
    path = folder / "coverage.json"
    return msgspec.json.decode(path.read_bytes(), type=list[Cell]) if path.exists() else []


def save(path: Path, value: object) -> None:
    """Write what was measured."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(value))


WHAT = {
    "judges": judge,
    "coverage": cover,
    "sentences": count_all_sentences,
    "tables": write_tables,
}


def main(given: Sequence[str] | None = None) -> None:
    """Measure what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=list(WHAT))
    parser.add_argument("sdist", type=Path, help="the source distribution of vaderSentiment 3.3.2")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--folder", type=Path, default=Path(".cache/learning"))
    parser.add_argument("--base", nargs="*", default=[], metavar="NAME=FILE", help="base models")
    parser.add_argument("--instruct", nargs="*", default=[], metavar="NAME=FILE")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--held-out", type=int, default=200)
    parser.add_argument("--by", type=int, default=200, help="at most so many for calibration")
    parser.add_argument("--counts", nargs="+", type=int, default=[25, 60, 120])
    parser.add_argument("--write", action="store_true", help="into docs/judges.md")
    parser.add_argument("--draws", type=int, default=200)
    arguments = parser.parse_args(given)
    WHAT[arguments.what](arguments)


if __name__ == "__main__":
    main()
