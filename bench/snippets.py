"""Sentences of reviews that about 20 people graded, from vaderSentiment's source distribution.

pip download --no-deps --no-binary :all: vaderSentiment==3.3.2
"""

from __future__ import annotations

import io
import re
import statistics
import tarfile
from pathlib import Path
from typing import NamedTuple

SETS = ("amazonReviewSnippets", "movieReviewSnippets")
LOWEST, HIGHEST = 1, 9
_MIDDLE = 5
"""What is 0 in the files, where grades run from -4 to 4."""


class Snippet(NamedTuple):
    """A text, and what about 20 people gave it, from 1 (most negative) to 9."""

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
            numbers = tuple(int(float(each)) + _MIDDLE for each in listed[1].split(","))
            snippets.append(Snippet(text.strip(), numbers))
    return snippets


def _read_lines(archive: tarfile.TarFile, end: str) -> list[str]:
    [member] = [each for each in archive if each.name.endswith(end) and "/._" not in each.name]
    packed = archive.extractfile(member)
    assert packed is not None
    return packed.read().decode("utf-8", "replace").splitlines()
