"""Whether the intervals about a judge hold, on real people's grades.

    pip download --no-deps --no-binary :all: vaderSentiment==3.3.2
    python -m bench.learning coverage vaderSentiment-3.3.2.tar.gz

It draws graded snippets again and again, with judges that are simulated, and counts how often an
interval of 95 % has the value of all snippets in it.
"""

from __future__ import annotations

import argparse
import io
import random
import re
import statistics
import tarfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from briggs.estimates.agreement import alpha_of_spreads, spread_between, spread_within
from briggs.estimates.calibration import fit_scale
from briggs.estimates.intervals import Interval
from briggs.estimates.prediction import estimate_mean, estimate_with_predictions
from briggs.judges.graded import GradedCompletion
from briggs.judges.numbers import measure_numbers
from briggs.types.forms import read_form
from briggs.types.judges import Judgement

SETS = ("amazonReviewSnippets", "movieReviewSnippets")
SCHEMA = {"properties": {"mood": {"type": "integer", "minimum": -4, "maximum": 4}}}
[FIELD] = read_form(SCHEMA).fields
REVIEWERS = 3


class Snippet(NamedTuple):
    """A text, and what about 20 people gave it, from -4 to 4."""

    text: str
    ratings: tuple[int, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.ratings)


def read_snippets(sdist: Path, name: str) -> list[Snippet]:
    """One of the sets in the source distribution of vaderSentiment."""
    with tarfile.open(sdist) as outer:
        [inner] = [each for each in outer if each.name.endswith("hutto_ICWSM_2014.tar.gz")]
        packed = outer.extractfile(inner)
        assert packed is not None
        with tarfile.open(fileobj=io.BytesIO(packed.read())) as archive:
            texts, ratings = (
                _read_lines(archive, f"/{name}_{part}.txt")
                for part in ("GroundTruth", "anonDataRatings")
            )
    rated = {line.split("\t")[0]: line for line in ratings}
    snippets = []
    for line in texts:
        id, _, text = line.split("\t", 2)
        listed = re.search(r"\[(.*)\]", rated[id]) if id in rated else None
        if listed is not None:
            numbers = tuple(int(float(each)) for each in listed[1].split(","))
            snippets.append(Snippet(text.strip(), numbers))
    return snippets


def _read_lines(archive: tarfile.TarFile, end: str) -> list[str]:
    [member] = [each for each in archive if each.name.endswith(end) and "/._" not in each.name]
    packed = archive.extractfile(member)
    assert packed is not None
    return packed.read().decode("utf-8", "replace").splitlines()


class Simulated(NamedTuple):
    """A judge that says what people say on average, on another scale, with noise."""

    name: str
    slope: float
    shift: float
    noise: float

    def score(self, snippet: Snippet) -> float:
        """The same for the same snippet."""
        draw = random.Random(f"{self.name} {snippet.text}")
        value = self.shift + self.slope * snippet.mean + draw.gauss(0, self.noise)
        return min(max(value, -4.0), 4.0)


JUDGES = (
    Simulated("good", 1.0, 0.0, 0.6),
    Simulated("shifted", 0.5, 1.0, 0.6),
    Simulated("poor", 0.4, 0.0, 1.5),
)


def draw_graded(
    snippets: Sequence[Snippet], judge: Simulated, count: int, draw: random.Random
) -> list[GradedCompletion]:
    """Some snippets with three people's grades each, and what the judge said."""
    return [
        create_graded(each, draw.sample(each.ratings, REVIEWERS), judge.score(each))
        for each in draw.choices(snippets, k=count)
    ]


def create_graded(snippet: Snippet, people: Sequence[int], score: float) -> GradedCompletion:
    """A snippet that people and a judge graded."""
    judgement = Judgement(
        organization_id="bench",
        judge_id="bench",
        version=1,
        completion_id=snippet.text,
        status="finished",
        scores={"mood": score},
        json_values={"mood": round(score)},
    )
    given = {str(place): rating for place, rating in enumerate(people)}
    return GradedCompletion({"mood": given}, judgement, snippet.text, len(snippet.text), "bench")


class Truth(NamedTuple):
    """The values of all snippets and all people, which the intervals should cover."""

    people_alpha: float
    people_error: float
    judge_alpha: float
    judge_error: float
    difference: float
    mean: float


def measure_truth(snippets: Sequence[Snippet], judge: Simulated) -> Truth:
    """By the same formulas, over everything."""
    scores = [judge.score(each) for each in snippets]
    ratings = [list(map(float, each.ratings)) for each in snippets]
    scale = fit_scale(scores, ratings)
    people = _alpha([spread_within(each) for each in ratings])
    return Truth(
        people_alpha=people,
        people_error=statistics.fmean(map(_apart, ratings)),
        judge_alpha=_alpha(
            [spread_between(round(s), each) for s, each in zip(scores, ratings, strict=True)]
        ),
        judge_error=statistics.fmean(
            statistics.fmean(abs(round(s) - rating) for rating in each)
            for s, each in zip(scores, ratings, strict=True)
        ),
        difference=_alpha(
            [spread_between(scale(s), each) for s, each in zip(scores, ratings, strict=True)]
        )
        - people,
        mean=statistics.fmean(each.mean for each in snippets),
    )


def _alpha(spreads: Sequence[Sequence[float]]) -> float:
    found = alpha_of_spreads([sum(column) for column in zip(*spreads, strict=True)])
    assert found is not None
    return found


def _apart(ratings: Sequence[float]) -> float:
    pairs = [abs(a - b) for place, a in enumerate(ratings) for b in ratings[:place]]
    return statistics.fmean(pairs)


def measure_coverage(
    snippets: Sequence[Snippet], judge: Simulated, count: int, draws: int
) -> tuple[dict[str, float], Counter[str], float]:
    """How often each interval covers the truth, the verdicts, and how narrow PPI is."""
    truth = measure_truth(snippets, judge)
    hits: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    verdicts: Counter[str] = Counter()
    widths = []
    draw = random.Random(f"{judge.name} {count}")
    for _ in range(draws):
        graded = draw_graded(snippets, judge, count, draw)
        found = measure_numbers(FIELD, graded, model="bench")
        verdicts[found.verdict] += 1
        assert found.people is not None and found.judge is not None
        alone, powered = estimate_both(graded, snippets, judge, draw)
        widths.append(powered.half_width / alone.half_width)
        for name, interval, value in (
            ("people: alpha", found.people.alpha.interval, truth.people_alpha),
            ("people: error", found.people.error.interval, truth.people_error),
            ("judge: alpha", found.judge.alpha.interval, truth.judge_alpha),
            ("judge: error", found.judge.error.interval, truth.judge_error),
            ("difference", found.difference.interval, truth.difference),
            ("mean, people alone", alone, truth.mean),
            ("mean, with the judge", powered, truth.mean),
        ):
            if interval is not None:
                totals[name] += 1
                hits[name] += interval.low <= value <= interval.high
    coverage = {name: hits[name] / totals[name] for name in totals}
    return coverage, verdicts, statistics.fmean(widths)


def estimate_both(
    graded: Sequence[GradedCompletion],
    snippets: Sequence[Snippet],
    judge: Simulated,
    draw: random.Random,
) -> tuple[Interval, Interval]:
    """The mean of all snippets from people alone, and with the judge's scores of 2,000 more."""
    pairs = [
        (statistics.fmean(each.people["mood"].values()), each.judgement.scores["mood"])
        for each in graded
    ]
    others = [judge.score(each) for each in draw.choices(snippets, k=2_000)]
    alone = estimate_mean([value for value, _ in pairs])
    powered = estimate_with_predictions(pairs, others)
    assert alone is not None and alone.interval is not None
    assert powered is not None and powered.interval is not None
    return alone.interval, powered.interval


def run_coverage(arguments: argparse.Namespace) -> None:
    """Print the table of coverages."""
    for name in arguments.sets:
        snippets = read_snippets(arguments.sdist, name)
        for judge in JUDGES:
            truth = measure_truth(snippets, judge)
            print(f"\n{name}, {judge.name}: {truth}", flush=True)
            for count in arguments.counts:
                found, verdicts, width = measure_coverage(snippets, judge, count, arguments.draws)
                shown = ", ".join(f"{each} {share:.1%}" for each, share in found.items())
                print(
                    f"{count:>5} graded: {shown}; {dict(verdicts)}; width {width:.2f}", flush=True
                )


def main() -> None:
    """Measure what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=["coverage"])
    parser.add_argument("sdist", type=Path, help="the source distribution of vaderSentiment 3.3.2")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--counts", nargs="+", type=int, default=[25, 60, 120, 400])
    parser.add_argument("--draws", type=int, default=200)
    run_coverage(parser.parse_args())


if __name__ == "__main__":
    main()
