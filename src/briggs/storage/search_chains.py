"""Collects the words of histories while a segment is built, so that each is read once.

A history is a chain of pieces, and a call usually goes on where another ended. So the words of a
piece are noted when it first comes, and hold for all blocks in which the history goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from briggs.storage.search_segments import FREQUENT_BLOCKS

WORDS_MAX = 400_000
"""How many words of histories are kept, which takes about 20 MB: more than 100 long histories."""

LET_GO_WORDS = 16_000
"""About so many words of the oldest are let go of at once, which takes a millisecond."""


class _Chain(msgspec.Struct):
    blocks: list[int] = []
    """The numbers of the blocks that have the history, in order."""
    words: set[bytes] = set()
    parts: list[tuple[int, Sequence[bytes]]] = []
    """The same words. From the how manieth of the blocks on the history has them."""


class Chains:
    """The histories that the last blocks of a segment had, each known by its last piece."""

    def __init__(self) -> None:
        self._chains: dict[bytes, _Chain] = {}
        """The one that was used last is the last."""
        self._words = 0
        self._names: dict[bytes, bytes] = {}
        """Each word once, because histories have many in common."""

    def __contains__(self, last: bytes) -> bool:
        return last in self._chains

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
        named = tuple(map(self._names.setdefault, new, new))
        chain.words.update(named)
        chain.parts.append((len(chain.blocks) - 1, named))
        self._words += len(named)

    def shrink(self) -> Iterator[Mapping[bytes, set[bytes]]]:
        """Let go of the oldest, if there are too many: words by the numbers of the blocks that they
        are in. Empty numbers stand for very many.
        """
        while self._words > WORDS_MAX:
            yield self._let_go()

    def drain(self) -> Iterator[Mapping[bytes, set[bytes]]]:
        """As `shrink`, of all."""
        while self._chains:
            yield self._let_go()

    def _let_go(self) -> Mapping[bytes, set[bytes]]:
        found: dict[bytes, set[bytes]] = {}
        left = self._words - LET_GO_WORDS
        while self._chains and self._words > left:
            chain = self._chains.pop(next(iter(self._chains)))
            self._words -= len(chain.words)
            for place, words in chain.parts:
                is_frequent = len(chain.blocks) - place >= FREQUENT_BLOCKS
                numbers = b"" if is_frequent else bytes(chain.blocks[place:])
                found.setdefault(numbers, set()).update(words)
        return found
