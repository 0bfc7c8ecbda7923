"""Collects the words of histories while a segment is built, so that each is read once.

A history is a chain of pieces, and a call usually goes on where another ended. So the words of a
piece are noted when it first comes, and hold for all blocks in which the history goes on.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from briggs.storage.search_segments import FREQUENT_BLOCKS

WORDS_MAX = 100_000
"""How many words of histories are kept, which takes about 15 MB."""


class _Chain(msgspec.Struct):
    words: dict[bytes, int] = {}
    """Each word, and from the how manieth of the blocks on the history has it."""
    blocks: list[int] = []
    """The blocks that have the history, in order."""


class Chains:
    """The histories that the last blocks of a segment had, each known by its last piece."""

    def __init__(self) -> None:
        self._chains: dict[bytes, _Chain] = {}
        """The one that was used last is the last."""
        self._words = 0

    def __contains__(self, last: bytes) -> bool:
        return last in self._chains

    @property
    def is_full(self) -> bool:
        """Whether the oldest has to go."""
        return self._words > WORDS_MAX and len(self._chains) > 1

    def use(self, last: bytes, *, block: int) -> None:
        """Note that a block has a history."""
        chain = self._chains[last] = self._chains.pop(last)
        if not chain.blocks or chain.blocks[-1] != block:
            chain.blocks.append(block)

    def extend(self, last: bytes, *, before: bytes | None, words: set[bytes], block: int) -> None:
        """Note that a block has a history that goes on after another, or begins."""
        chain = _Chain() if before is None else self._chains.pop(before)
        self._chains[last] = chain
        self.use(last, block=block)
        new = words.difference(chain.words)
        chain.words.update(dict.fromkeys(new, len(chain.blocks) - 1))
        self._words += len(new)

    def pop(self) -> dict[bytes, bytes]:
        """The words of the history that was not used for the longest time, and the numbers of the
        blocks that each is in. Empty numbers stand for very many.
        """
        chain = self._chains.pop(next(iter(self._chains)))
        self._words -= len(chain.words)
        numbers = [
            bytes(chain.blocks[place:]) if len(chain.blocks) - place < FREQUENT_BLOCKS else b""
            for place in range(len(chain.blocks))
        ]
        return {word: numbers[place] for word, place in chain.words.items()}

    def drain(self) -> Iterator[dict[bytes, bytes]]:
        """As `pop`, of all histories."""
        while self._chains:
            yield self.pop()
