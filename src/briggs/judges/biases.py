"""Whether what a judge says apart from people goes with what should not matter."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from briggs.judges.figures import TrustFigure, ask_apart, ask_correlation, measure_all
from briggs.judges.graded import GradedCompletion
from briggs.judges.verdicts import Bias

BIASED_FROM = 0.1
"""A smaller correlation is no bias worth telling."""


def find_biases(pairs: Sequence[tuple[GradedCompletion, float]], *, model: str) -> list[Bias]:
    """Whether what is apart from people goes with the length, or with the judge's own family.

    Each pair has how much higher the judge's score is than that of people.
    """
    family = find_family(model)
    lengths = [math.log1p(graded.length) for graded, _ in pairs]
    middle = math.fsum(lengths) / len(lengths)
    length, own = measure_all(
        [
            ask_correlation(
                [(each - middle, apart) for each, (_, apart) in zip(lengths, pairs, strict=True)]
            ),
            ask_apart([(find_family(graded.model) == family, apart) for graded, apart in pairs]),
        ],
        weights=[graded.weight for graded, _ in pairs],
    )
    return [
        Bias(
            name="length",
            figure=length,
            is_found=length.is_clear and abs(length.value or 0) >= BIASED_FROM,
            sentence=_say(
                length,
                "It grades long answers higher than people do.",
                "It grades long answers lower than people do.",
                "No sign that the length of an answer moves it.",
            ),
        ),
        Bias(
            name="own_family",
            figure=own,
            is_found=own.is_clear,
            sentence=_say(
                own,
                f"It grades models of its own family ({family}) higher than people do.",
                f"It grades models of its own family ({family}) lower than people do.",
                "No sign that it favours its own family."
                if own.value is not None
                else "Answers of its own family and of others were not both graded.",
            ),
        ),
    ]


def find_family(model: str) -> str:
    """The letters that a model's name begins with, such as `gpt`."""
    found = re.match(r"[a-z]+", model.rpartition("/")[2].lower())
    return found[0] if found else ""


def _say(figure: TrustFigure, higher: str, lower: str, none: str) -> str:
    if not figure.is_clear:
        return none
    return higher if (figure.value or 0) > 0 else lower
