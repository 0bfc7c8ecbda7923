"""Overwrites what is left of deleted rows in the unused middle of SQLite's pages.

`secure_delete` overwrites each deleted row where it stands. But when SQLite moves rows between
pages, their old bytes stay in the part of a page that no row uses, between its list of rows and the
rows themselves. SQLite never reads that part, so it can be overwritten in the file.

The format is described in https://www.sqlite.org/fileformat2.html#b_tree_pages (read 2026-11).
"""

from __future__ import annotations

import os

STEP_BYTES = 4 * 1024 * 1024
"""Read in one step, which takes about two milliseconds."""

PAGES_MAX = 1 << 25
"""In a file of at most so many pages (128 GiB), the first byte tells which pages have rows. Others
begin with the number of a page, whose first byte is then below 2."""

_HEADER_BYTES = {2: 12, 5: 12, 10: 8, 13: 8}
"""The kinds of pages with rows, by their first byte, and how long their headers are."""

_FIRST_PAGE_AT = 100


def clear_unused(file: int, *, begin: int, page_bytes: int) -> int | None:
    """Overwrite the unused parts of the pages from an offset on. Returns where to go on, or None.

    Nobody else may write meanwhile.
    """
    if os.fstat(file).st_size > page_bytes * PAGES_MAX:
        return None
    block = os.pread(file, STEP_BYTES - STEP_BYTES % page_bytes, begin)
    for at in range(0, len(block) - page_bytes + 1, page_bytes):
        kind = block[at] if begin + at else block[_FIRST_PAGE_AT]
        if kind in _HEADER_BYTES:
            first, last = _find_unused(block, at, is_first=begin + at == 0, page_bytes=page_bytes)
            if last > first and block.count(0, first, last) < last - first:
                os.pwrite(file, bytes(last - first), begin + first)
    if len(block) < page_bytes:
        return None
    return begin + len(block) - len(block) % page_bytes


def _find_unused(block: bytes, at: int, *, is_first: bool, page_bytes: int) -> tuple[int, int]:
    """Where the unused part of a page begins and ends in the block."""
    header = at + _FIRST_PAGE_AT if is_first else at
    rows = int.from_bytes(block[header + 3 : header + 5])
    # 0 stands for 65,536, which only the largest pages need.
    used = int.from_bytes(block[header + 5 : header + 7]) or 65_536
    begin = header + _HEADER_BYTES[block[header]] + 2 * rows
    end = at + used
    return (begin, end) if begin <= end <= at + page_bytes else (at, at)
