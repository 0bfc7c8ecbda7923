"""Requests and responses on disk: as received at first, a zstd frame later, the same bytes back."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

import zstandard
from sqlalchemy import Connection, bindparam, func, select, text, update

from briggs.storage.tables import completions, dictionaries
from briggs.types.completions import current_time_us

AS_RECEIVED = 0
ZSTD = 1

LEVEL = 3
DICTIONARY_BYTES_MAX = 64 * 1024
SAMPLES_MIN = 1_000
SAMPLES_MAX = 4_000
SAMPLES_BYTES_MAX = 8 * 1024 * 1024


class Bodies:
    """Compresses and expands, from any thread. Knows the dictionaries that it was shown."""

    def __init__(self) -> None:
        self._dictionaries: dict[int, zstandard.ZstdCompressionDict] = {}
        self._newest: zstandard.ZstdCompressionDict | None = None
        # The compressors are not safe to share between threads.
        self._local = threading.local()

    @property
    def has_dictionary(self) -> bool:
        return self._newest is not None

    def learn(self, dictionary: bytes) -> None:
        """Use a dictionary from now on."""
        known = zstandard.ZstdCompressionDict(dictionary)
        known.precompute_compress(level=LEVEL)
        self._dictionaries[known.dict_id()] = known
        self._newest = known

    def compress(self, body: bytes) -> bytes:
        """One zstd frame with a checksum, with the newest dictionary if there is one."""
        newest = self._newest
        compressor = getattr(self._local, "compressor", None)
        if compressor is None or self._local.compressor_dictionary is not newest:
            compressor = zstandard.ZstdCompressor(
                level=LEVEL, dict_data=newest, write_checksum=True
            )
            self._local.compressor = compressor
            self._local.compressor_dictionary = newest
        return bytes(compressor.compress(body))

    def expand(self, frame: bytes) -> bytes:
        """The body that a frame was made of."""
        number = zstandard.get_frame_parameters(frame).dict_id
        decompressors = getattr(self._local, "decompressors", None)
        if decompressors is None:
            decompressors = self._local.decompressors = {}
        decompressor = decompressors.get(number)
        if decompressor is None:
            dictionary = self._dictionaries[number] if number else None
            decompressor = zstandard.ZstdDecompressor(dict_data=dictionary)
            decompressors[number] = decompressor
        return bytes(decompressor.decompress(frame))


def load_dictionaries(connection: Connection, *, bodies: Bodies) -> None:
    """Show `bodies` every dictionary of the database, the newest last."""
    for content in connection.scalars(
        select(dictionaries.c.content).order_by(dictionaries.c.created_at)
    ):
        bodies.learn(content)


def count_uncompressed(connection: Connection) -> int:
    """How many settled completions wait for compression."""
    return connection.execute(
        select(func.count()).select_from(completions).where(_UNCOMPRESSED)
    ).scalar_one()


def compress_some(connection: Connection, *, bodies: Bodies, rows_max: int, bytes_max: int) -> int:
    """Compress the oldest settled completions, a few at once, and say how many it were.

    The work is done before the transaction begins, so that the transaction is short; only
    the thread that calls this writes, so that nothing changes in between.
    """
    ids = _oldest(connection, rows_max=rows_max, bytes_max=bytes_max)
    if not ids:
        return 0
    rows = connection.execute(_SELECT_BODIES.where(completions.c.id.in_(ids))).all()
    compressed = [
        {
            "which": row.id,
            "request": bodies.compress(row.request),
            "response": None if row.response is None else bodies.compress(row.response),
            "received": None if row.received is None else bodies.compress(row.received),
        }
        for row in rows
    ]
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        connection.execute(_UPDATE_BODIES, compressed)
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")
    return len(rows)


def read_samples(connection: Connection) -> list[bytes]:
    """The bodies of recent completions, to train a dictionary from; none while there are few."""
    rows = connection.execute(
        _SELECT_BODIES.where(_UNCOMPRESSED)
        .order_by(completions.c.created_at.desc())
        .limit(SAMPLES_MAX)
    )
    samples: list[bytes] = []
    size = 0
    for row in rows:
        for body in (row.request, row.response, row.received):
            if body and len(body) <= SAMPLES_BYTES_MAX // SAMPLES_MIN:
                samples.append(body)
                size += len(body)
        if size > SAMPLES_BYTES_MAX:
            break
    return samples if len(samples) >= SAMPLES_MIN else []


def train_dictionary(samples: Sequence[bytes]) -> bytes:
    """A dictionary of what the samples have in common."""
    trained = zstandard.train_dictionary(DICTIONARY_BYTES_MAX, list(samples), level=LEVEL)
    return trained.as_bytes()


def create_dictionary(connection: Connection, *, content: bytes) -> None:
    """Keep a dictionary. It must be on disk before a frame is that needs it."""
    number = zstandard.ZstdCompressionDict(content).dict_id()
    connection.execute(
        dictionaries.insert().values(id=number, created_at=current_time_us(), content=content)
    )


# The very words of the partial index, or SQLite does not use it.
_UNCOMPRESSED = text("encoding = 0 AND status <> 'started'")
_SELECT_BODIES = select(
    completions.c.id, completions.c.request, completions.c.response, completions.c.received
)
_UPDATE_BODIES = (
    update(completions)
    .where(completions.c.id == bindparam("which"), completions.c.encoding == AS_RECEIVED)
    .values(
        encoding=ZSTD,
        request=bindparam("request"),
        response=bindparam("response"),
        received=bindparam("received"),
    )
)


def _oldest(connection: Connection, *, rows_max: int, bytes_max: int) -> list[str]:
    sizes = (
        func.length(completions.c.request)
        + func.coalesce(func.length(completions.c.response), 0)
        + func.coalesce(func.length(completions.c.received), 0)
    )
    rows = connection.execute(
        select(completions.c.id, sizes)
        .where(_UNCOMPRESSED)
        .order_by(completions.c.created_at)
        .limit(rows_max)
    )
    return list(_within(((row[0], row[1]) for row in rows), bytes_max=bytes_max))


def _within(sized: Iterable[tuple[str, int]], *, bytes_max: int) -> Iterable[str]:
    """The first few that fit; always one, so that a large one is not left for ever."""
    size = 0
    for name, length in sized:
        if size and size + length > bytes_max:
            return
        size += length
        yield name
