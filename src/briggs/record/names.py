"""Finds the names of people in texts, with a pipeline of spaCy that is installed or in a folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from threading import Lock
from typing import Any

from briggs.record.json_strings import is_json

TEXT_BYTES_MAX = 1 << 20
"""How much text of one completion is read. It takes some 20 s of CPU."""

_PART_CHARACTERS = 2_000
_PART = re.compile(rf"(?s).{{1,{_PART_CHARACTERS}}}(?:\s|\Z)|.{{1,{_PART_CHARACTERS}}}")
_HALVES = re.compile("[\ud800-\udfff]")
# What pipelines of English, of most other languages, of Polish and of Swedish call a person.
_PEOPLE = frozenset({"PERSON", "PER", "persName", "PRS"})
_FINDERS = frozenset({"ner", "entity_ruler", "span_ruler"})
_NEEDED = (*_FINDERS, "tok2vec", "transformer")


class NameDetector:
    """Finds names of people. Its `find` is that of a `Detector`."""

    kind = "name"
    is_anchored = True

    def __init__(self, pipeline: str) -> None:
        """Raises `ValueError` if the pipeline cannot be used."""
        self._read = _load(pipeline)
        self._lock = Lock()

    def find(self, text: bytes) -> Iterator[tuple[int, int]]:
        """Where names are in a text of several words. JSON is read string by string."""
        if not is_prose(text) or (text.lstrip()[:1] in (b"{", b"[", b'"') and is_json(text)):
            return
        # Every byte that is no UTF-8 becomes one character, so that places can be told apart.
        characters = text.decode("utf-8", "surrogateescape")
        begin = 0
        for part in _PART.finditer(characters):
            spans = self._find_people(_HALVES.sub("\ufffd", part[0]))
            last, place = 0, begin
            for first, end in spans:
                place += _count_bytes(part[0][last:first])
                last = end
                yield place, (place := place + _count_bytes(part[0][first:end]))
            begin = place + _count_bytes(part[0][last:])

    def _find_people(self, text: str) -> list[tuple[int, int]]:
        # The zone frees the memory of words that were not known before.
        with self._lock, self._read.memory_zone():
            return [
                (each.start_char, each.end_char)
                for each in self._read(text).ents
                if each.label_ in _PEOPLE
            ]


def is_prose(text: bytes) -> bool:
    """Whether a text has several words. Ids, models and roles have one."""
    return b" " in text.strip()


@cache
def _load(pipeline: str) -> Any:
    try:
        import spacy
    except ImportError as error:
        raise ValueError("needs spaCy: pip install 'briggs[names]'") from error
    try:
        found = spacy.load(pipeline)
    except (OSError, ValueError) as error:
        advice = (
            "Name a folder that has a config.cfg"
            if "/" in pipeline
            else f"Install it with: python -m spacy download {pipeline}"
        )
        raise ValueError(f"{pipeline!r} is not a pipeline that spaCy finds. {advice}") from error
    if not _FINDERS.intersection(found.pipe_names):
        raise ValueError(f"the pipeline {pipeline!r} finds no names: it has no `ner`")
    for name in found.pipe_names:
        if name not in _NEEDED:
            found.remove_pipe(name)
    return found


def _count_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape"))
