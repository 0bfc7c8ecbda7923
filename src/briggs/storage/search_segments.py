"""The words of many completions, in a form that a search for any text can rule out quickly.

A segment covers the completions of a range of time, in blocks of a few dozen. It has each word of
their messages once, in a list, and the numbers of the blocks that it is in. A text is looked for in
the list as in any text, so its first and last words may be parts of words. What is found are
blocks that may contain the text; only their bodies say whether they do.

A summary is the same of a group of segments: each of them is one of its blocks.

A word is what stands between characters that separate words in any script, with its case folded. A
script without spaces has long words, so nothing has to be known of it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple
from zlib import crc32

import msgspec
from zstandard import ZstdCompressor, ZstdDecompressor, ZstdError

from briggs.types.filters import AllOf, AnyOf, Filter, Words

BLOCKS_MAX = 256
"""The number of a block is one byte."""

FREQUENT_BLOCKS = BLOCKS_MAX // 4
"""A word that is in so many blocks may be in any of its segment."""

TERMS_MAX = 200_000
"""Different words of a segment. A segment that has more ends early."""

BLOCK_BYTES_MAX = 1024 * 1024
"""Different words of a block. A block that has more is always searched."""

PIECE_BYTES = 64
"""Of longer words there are overlapping pieces of twice this length, so that any part of this
length is in one of them."""

WORD_BYTES_MAX = 2 * PIECE_BYTES

PART_CHARACTERS = 128 * 1024
"""So much of a text is split into words in one step. It takes a few milliseconds."""

WORDS_AT_ONCE = 4_000
"""So many are added in one step. It takes about a millisecond."""

FOUND_TERMS_MAX = 1_000
"""A text that is part of so many words may be in any block."""

LEVEL = 1


class Segment(msgspec.Struct, frozen=True):
    """A segment as it is stored."""

    begin_at: int
    """Unix time in microseconds, inclusive."""
    end_at: int
    """Exclusive."""
    rows: int
    """How many completions it had when it was written."""
    blocks: bytes
    """Where each block begins, as 64-bit integers, the lowest byte first."""
    opaque: bytes
    """The numbers of the blocks whose words are not known."""
    words: bytes
    """A line for each word, between line feeds. Every search reads it, so it is not compressed."""
    postings: bytes
    """A zstd frame: for each word how many blocks it is in, as a byte; then their numbers. 0 stands
    for many, whose numbers are not known. Then a checksum, which older segments do not have."""


class WordBlock(NamedTuple):
    """A few completions of one range of time."""

    begin_at: int
    rows: int
    words: set[bytes] | None
    """None if they are not known, because they are too many."""


class Builder:
    """Collects the blocks of a segment, in the order of time."""

    def __init__(
        self,
        *,
        blocks_max: int = BLOCKS_MAX,
        terms_max: int = TERMS_MAX,
        frequent_blocks: int = FREQUENT_BLOCKS,
    ) -> None:
        self._blocks_max, self._terms_max = blocks_max, terms_max
        self._frequent_blocks = frequent_blocks
        self._found: dict[bytes, bytes] = {}
        self._frequent: set[bytes] = set()
        self._begins: list[int] = []
        self._opaque = bytearray()
        self._rows = 0

    @property
    def number(self) -> int:
        """The number of the next block."""
        return len(self._begins)

    @property
    def is_full(self) -> bool:
        """Whether another block has to go to the next segment."""
        return len(self._begins) >= self._blocks_max or len(self._found) > self._terms_max

    def add(self, block: WordBlock) -> None:
        """Add a block."""
        number = _NUMBERS[len(self._begins)]
        if block.words is None:
            self._opaque += number
        else:
            # Most words of a text are frequent, so leaving these out first is twice as fast.
            self._add(dict.fromkeys(block.words - self._frequent, number))
        self._begins.append(block.begin_at)
        self._rows += block.rows

    def add_histories(self, histories: Mapping[bytes, set[bytes]]) -> Iterable[None]:
        """Add words by the numbers of the blocks that they are in, which may have some of them
        already. As many at a time as take a few milliseconds.
        """
        added = 0
        for numbers, words in histories.items():
            self._add_again(words - self._frequent, numbers)
            added += len(words)
            if added > WORDS_AT_ONCE:
                added = 0
                yield
        yield

    def _add_again(self, words: set[bytes], numbers: bytes) -> None:
        new: dict[bytes, bytes] = {}
        for word in words:
            before = self._found.get(word)
            left = numbers.translate(None, before) if before else numbers
            if left or not numbers:
                new[word] = left
        self._add(new)

    def add_segment(self, segment: Segment) -> Iterable[None]:
        """Add all blocks of a segment, as many words at a time as take a millisecond."""
        first = len(self._begins)
        moved = bytes((number + first) % BLOCKS_MAX for number in range(BLOCKS_MAX))
        words = list_words(segment)
        postings = expand(segment.postings)
        place = len(words)
        moved_there: dict[bytes, bytes] = {}
        for number, word in enumerate(words):
            end = place + postings[number]
            moved_there[word] = postings[place:end].translate(moved)
            place = end
            if number % WORDS_AT_ONCE == WORDS_AT_ONCE - 1:
                self._add(moved_there)
                moved_there.clear()
                yield
        self._add(moved_there)
        self._opaque += segment.opaque.translate(moved)
        self._begins += list_begins(segment.blocks)
        self._rows += segment.rows

    def add_as_block(self, segment: Segment) -> Iterable[None]:
        """Add a segment as one block, as many words at a time as take a millisecond."""
        number = _NUMBERS[len(self._begins)]
        is_known = is_sound(segment.words)
        words = list_words(segment) if is_known else []
        if segment.opaque or not is_known:
            self._opaque += number
        for begin in range(0, len(words), WORDS_AT_ONCE):
            some = words[begin : begin + WORDS_AT_ONCE]
            self._add(dict.fromkeys([each for each in some if each not in self._frequent], number))
            yield
        self._begins.append(segment.begin_at)
        self._rows += segment.rows

    def _add(self, postings: Mapping[bytes, bytes]) -> None:
        """Add the numbers of blocks to those of each word. A frequent word has none."""
        found, frequent, frequent_blocks = self._found, self._frequent, self._frequent_blocks
        for word, numbers in postings.items():
            before = found.get(word)
            if before is None and numbers:
                found[word] = numbers
            elif before and numbers and len(before) + len(numbers) < frequent_blocks:
                found[word] = before + numbers
            else:
                found[word] = b""
                frequent.add(word)

    def finish(self, *, begin_at: int, end_at: int) -> Generator[None, None, Segment]:
        """The segment of all blocks that were added, in steps of a few milliseconds."""
        words = b"\n%b\n" % b"\n".join(self._found)
        yield
        postings = self._found.values()
        counts = bytes(map(len, postings))
        yield
        blocks = struct.pack(f"<{len(self._begins)}q", *self._begins)
        opaque = bytes(self._opaque)
        content = b"".join([counts, *postings, _sum_up(blocks, opaque, words)])
        yield
        return Segment(
            begin_at=begin_at,
            end_at=end_at,
            rows=self._rows,
            blocks=blocks,
            opaque=opaque,
            words=words,
            postings=ZstdCompressor(level=LEVEL, write_checksum=True).compress(content),
        )


def read_words(said: Iterable[str]) -> set[bytes] | None:
    """The words of some texts. None if they are too many."""
    steps = split_words(said)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            words: set[bytes] | None = end.value
            return words


def split_words(said: Iterable[str]) -> Generator[None, None, set[bytes] | None]:
    """As `read_words`, in steps of a few milliseconds."""
    words: set[bytes] = set()
    size = known = 0
    for text in _fold_in_parts(said):
        if size:
            yield
        found = set(text.split())
        if _has_long_word(text):
            found = _cut_long_words(found)
        new = found - words if words else found
        words |= new
        size += len(text)
        # To look at each word takes longer than to read it, and hardly any text is so long.
        if size > BLOCK_BYTES_MAX:
            known += sum(map(len, new if known else words))
            if known > BLOCK_BYTES_MAX:
                return None
    return words


def _fold_in_parts(said: Iterable[str]) -> Iterator[bytes]:
    """What some texts say, folded, in parts of a bounded length that cut no word.

    A word that is longer than a part is cut where its pieces overlap.
    """
    parts: list[bytes] = []
    size = 0
    for text in said:
        rest = b""
        for begin in range(0, len(text), PART_CHARACTERS):
            folded = rest + fold(text[begin : begin + PART_CHARACTERS])
            if begin + PART_CHARACTERS < len(text):
                end = folded.rfind(b" ") + 1
                rest = folded[end:] if end else folded[-WORD_BYTES_MAX:]
                folded = folded[: end or None]
            parts.append(folded)
            size += len(folded)
            if size >= PART_CHARACTERS:
                yield b" ".join(parts)
                parts.clear()
                size = 0
    yield b" ".join(parts)


def _cut_long_words(words: set[bytes]) -> set[bytes]:
    """Words, with overlapping pieces of those that are too long."""
    cut: set[bytes] = set()
    for word in words:
        if len(word) <= WORD_BYTES_MAX:
            cut.add(word)
        else:
            for place in range(0, len(word) - PIECE_BYTES, PIECE_BYTES):
                cut.add(word[place : place + WORD_BYTES_MAX])
    return cut


def _has_long_word(text: bytes) -> bool:
    """Whether a folded text has a word of more than `WORD_BYTES_MAX`."""
    at = 0
    while len(text) - at > WORD_BYTES_MAX:
        space = text.rfind(b" ", at, at + WORD_BYTES_MAX + 1)
        if space < 0:
            return True
        at = space + 1
    return False


def fold(text: str) -> bytes:
    """The text without case, and with a space for each character that separates words.

    This changes each character by itself, so what is part of a text is also part of it afterwards.
    """
    folded = text.casefold()
    if not folded.isascii():
        folded = _SEPARATORS.sub(" ", folded)
    return folded.encode("utf-8", "surrogatepass").translate(_SPACED)


def find_patterns(text: str) -> list[bytes]:
    """What stands in the list of words of any block that contains a text.

    Only its first and last words may be parts of words. Empty if it has no word.
    """
    folded = fold(text)
    words = folded.split()
    last = len(words) - 1
    patterns = []
    for place, word in enumerate(words):
        begins = place > 0 or folded[:1] == b" "
        ends = place < last or folded[-1:] == b" "
        if len(word) > PIECE_BYTES:
            # It may be part of a long word, of which there are pieces.
            ends = ends and not begins
            word = word[-PIECE_BYTES:] if ends else word[:PIECE_BYTES]
        patterns.append((b"\n" if begins else b"") + word + (b"\n" if ends else b""))
    return patterns


class SegmentReader:
    """Looks for texts in one segment. Its postings are read if a word is found."""

    def __init__(
        self, *, blocks: int, opaque: bytes, words: bytes, read_postings: Callable[[], bytes | None]
    ) -> None:
        self._all = (1 << blocks) - 1
        self._opaque = _join(opaque)
        if not is_sound(words):
            raise ZstdError("the list of words is damaged")
        self._words = words
        self._read_postings = read_postings
        self._postings: bytes | None = None
        self._counted = -1, 0
        """The number of a word, and where it is."""

    def find_blocks(self, filter: Filter) -> int:
        """The blocks that may have what a filter selects, as bits."""
        if isinstance(filter, Words):
            return self._find_text(filter.text)
        if isinstance(filter, AllOf):
            found = self._all
            for each in filter.inner:
                found = found and found & self.find_blocks(each)
            return found
        if isinstance(filter, AnyOf):
            found = 0
            for each in filter.inner:
                found |= self.find_blocks(each)
            return found
        # What is not a text is not known here, nor what is not contained.
        return self._all

    def _find_text(self, text: str) -> int:
        found = self._all
        some: list[list[int]] = []
        # All are looked for before the postings of any are read.
        for pattern in sorted(find_patterns(text), key=len, reverse=True):
            places = self._find_places(pattern)
            if places == []:
                return self._opaque
            if places is not None:
                some.append(places)
        terms = self._count_words(sorted({place for places in some for place in places}))
        for places in some:
            found &= self._find_numbers([terms[place] for place in places])
        return found | self._opaque

    def _find_places(self, pattern: bytes) -> list[int] | None:
        """Where words that contain a pattern are in the list. None if they are too many."""
        words, places = self._words, []
        skipped = 1 if pattern.startswith(b"\n") else 0
        place = 0
        while (place := words.find(pattern, place)) >= 0:
            place += skipped
            places.append(place)
            if len(places) > FOUND_TERMS_MAX:
                return None
            place = words.index(b"\n", place)
        return places

    def _count_words(self, places: Sequence[int]) -> dict[int, int]:
        """The number of each word, by where it is. In one pass, because the list is long."""
        terms: dict[int, int] = {}
        number, counted = -1, 0
        for place in places:
            number += self._words.count(b"\n", counted, place)
            counted = place
            terms[place] = number
        self._counted = number, counted
        return terms

    def _find_numbers(self, terms: Sequence[int]) -> int:
        if self._postings is None:
            frame = self._read_postings()
            if frame is None:
                # The segment was dropped just now.
                return self._all
            self._postings = expand(frame)
        postings = self._postings
        if any(postings[term] == 0 for term in terms):
            return self._all
        place, counted = self._terms, 0
        numbers: set[int] = set()
        for term in terms:
            place += sum(postings[counted:term])
            counted = term
            numbers.update(postings[place : place + postings[term]])
        return _join(numbers)

    @cached_property
    def _terms(self) -> int:
        """How many words are in the list."""
        number, counted = self._counted
        return number + self._words.count(b"\n", counted)


def find_fault(segment: Segment) -> str | None:
    """What shows that a segment was damaged. None if nothing does."""
    if len(segment.blocks) % 8 or not is_sound(segment.words):
        return "its list is cut off"
    begins = list_begins(segment.blocks)
    if begins != sorted(begins) or not all(
        segment.begin_at <= each < segment.end_at for each in begins
    ):
        return "its parts are out of order"
    try:
        content = expand(segment.postings)
    except ZstdError as error:
        return str(error)
    terms = segment.words.count(b"\n") - 1 if segment.words != _NO_WORDS else 0
    end = terms + sum(content[:terms])
    checksum = content[end:]
    if len(content) < end or len(checksum) not in (0, CHECKSUM_BYTES):
        return "it does not say of each word where that is"
    if any(number >= len(begins) for number in {*segment.opaque, *content[terms:end]}):
        return "it names a part that is not there"
    if checksum and checksum != _sum_up(segment.blocks, segment.opaque, segment.words):
        return "its checksum is another"
    return None


def is_sound(words: bytes) -> bool:
    """Whether a list of words is whole, as far as one sees at once."""
    return len(words) >= 2 and words.startswith(b"\n") and words.endswith(b"\n")


def list_words(segment: Segment) -> list[bytes]:
    """The words of a segment, in order."""
    return segment.words[1:-1].split(b"\n") if segment.words != _NO_WORDS else []


def _sum_up(*parts: bytes) -> bytes:
    """The CRC-32 of what the postings belong to."""
    checksum = 0
    for part in parts:
        checksum = crc32(part, checksum)
    return checksum.to_bytes(CHECKSUM_BYTES, "little")


def list_begins(blocks: bytes) -> list[int]:
    """Where the blocks of a segment begin."""
    return list(struct.unpack(f"<{len(blocks) // 8}q", blocks))


def expand(frame: bytes) -> bytes:
    """The content of a zstd frame."""
    return ZstdDecompressor().decompress(frame)


def _join(numbers: Iterable[int]) -> int:
    bits = 0
    for number in numbers:
        bits |= 1 << number
    return bits


CHECKSUM_BYTES = 4

_NO_WORDS = b"\n\n"
_NUMBERS = [bytes([number]) for number in range(BLOCKS_MAX)]

# All of ASCII but letters and digits.
_SPACED = bytes(
    number if number >= 128 or chr(number).isalnum() else ord(" ") for number in range(256)
)
# Spaces and punctuation of other scripts. That it need not be complete makes only longer words.
_SEPARATORS = re.compile("[\u0080-\u00bf\u2000-\u206f\u3000-\u303f\uff00-\uff0f\uff1a-\uff20]+")
