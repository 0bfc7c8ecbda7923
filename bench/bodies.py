"""Compares wide rows with rows whose bodies are in a table of their own, in SQLite alone.

    uv run python -m bench.bodies [--records 30000] [--scale 1] [--rounds 2] [--folder DIR]

The rows are those of `tables.py`. Both ways write the same rows, a tenth of them one by one and the
others by 32, and answer the same queries. CPU is that of the thread.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy.dialects import sqlite as dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from bench.store import create_bodies
from briggs.storage import records
from briggs.storage.bodies import ZSTD, Bodies
from briggs.storage.tables import WRITTEN_COLUMNS, completions
from briggs.types.completions import Attempt, Completion

BODIES = ("request", "response", "received")
HEADS = [column.name for column in completions.columns if column.name not in BODIES]
PREVIEW = '{"asked":"' + "the logarithm of a number " * 5 + '","said":"' + "a table " * 12 + '"}'
BATCH_ROWS = 32
CHECKPOINT_BATCHES = 100

Row = dict[str, Any]


def create_rows(count: int, *, scale: float) -> Iterator[Row]:
    """Settled completions of 40 models, some of them failed, some with what was received."""
    rng = random.Random(7)
    bodies = Bodies()
    frames = [
        tuple(_resize(bodies.compress(body), scale * (0.5 + rng.random())) for body in pair)
        for pair in create_bodies(2_000)
    ]
    models = [f"provider-{number % 8}/model-{number}" for number in range(40)]
    weights = [1 / (number + 1) ** 1.5 for number in range(40)]
    for number in range(count):
        [model] = rng.choices(models, weights)
        completion = Completion(
            organization_id="default",
            created_at=1_790_000_000_000_000 + number * 1_000_000,
            status="failed" if rng.random() < 0.02 else "finished",
            model=model,
            provider=model.split("/")[0],
            response_id=f"chatcmpl-{rng.getrandbits(128):032x}",
            response_model=f"{model}-2024",
            session_id=f"s-{number // 6}" if rng.random() < 0.3 else None,
            finish_reasons=["stop"],
            prompt_tokens=200,
            completion_tokens=60,
            total_tokens=260,
            duration_ms=rng.random() * 3_000,
            cost_usd=rng.random() / 100,
            attempts=[Attempt(target=model, status=200, duration_ms=812.5)],
            http_status=200,
        )
        encoded = records.encode(completion, started=False, packing=None)
        request, response = frames[number % len(frames)]
        yield dict(zip(WRITTEN_COLUMNS, encoded, strict=True)) | {
            "encoding": ZSTD,
            "preview": PREVIEW,
            "request": request,
            "response": response,
            "received": response if rng.random() < 0.3 else None,
        }


def _resize(frame: bytes, scale: float) -> bytes:
    return (frame * 8)[: int(len(frame) * scale)]


class Layout:
    """One way to store completions."""

    def __init__(self, path: Path, *, apart: bool) -> None:
        self.apart = apart
        self.rows = 0
        self.connection = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "wal_autocheckpoint=0"):
            self.connection.execute(f"PRAGMA {pragma}")
        self.connection.execute("PRAGMA secure_delete=ON")
        table = str(CreateTable(completions).compile(dialect=dialect.dialect()))
        if apart:
            lines = table.splitlines()
            table = "\n".join(line for line in lines if line.split(" ")[0].strip() not in BODIES)
            self.connection.execute(
                "CREATE TABLE bodies (id INTEGER PRIMARY KEY, request BLOB NOT NULL, "
                "response BLOB, received BLOB)"
            )
        self.connection.execute(table)
        for index in completions.indexes:
            self.connection.execute(str(CreateIndex(index).compile(dialect=dialect.dialect())))
        self.columns = HEADS if apart else [*HEADS, *BODIES]

    def insert(self, rows: Sequence[Row]) -> None:
        """Write rows in one transaction, as the store does."""
        names = ", ".join(["rowid", *(f'"{name}"' for name in self.columns)])
        places = range(self.rows + 1, self.rows + 1 + len(rows))
        self.rows += len(rows)
        self.connection.execute("BEGIN IMMEDIATE")
        self._insert(
            f"completions ({names})",
            [[place, *map(row.get, self.columns)] for place, row in zip(places, rows, strict=True)],
        )
        if self.apart:
            bodies = [
                [place, *map(row.get, BODIES)] for place, row in zip(places, rows, strict=True)
            ]
            self._insert("bodies", bodies)
        self.connection.execute("COMMIT")

    def _insert(self, into: str, rows: Sequence[Sequence[Any]]) -> None:
        values = ", ".join([f"({', '.join('?' * len(rows[0]))})"] * len(rows))
        self.connection.execute(
            f"INSERT INTO {into} VALUES {values}", [value for row in rows for value in row]
        )

    def read(self, query: str, values: Sequence[str]) -> None:
        self.connection.execute(query, values).fetchall()

    def queries(self) -> dict[str, str]:
        heads = ", ".join(f'completions."{name}"' for name in HEADS)
        whole = f"SELECT {heads}, request, response, received FROM completions"
        if self.apart:
            whole += " JOIN bodies ON bodies.id = completions.rowid"
        ours = "WHERE organization_id = 'default'"
        newest = "ORDER BY created_at DESC, completions.id DESC LIMIT 20"
        return {
            "the newest 20, ms": f"SELECT {heads} FROM completions {ours} {newest}",
            "the newest 20 with their bodies, ms": f"{whole} {ours} {newest}",
            "one by id with its bodies, ms": f"{whole} WHERE completions.id = ?",
            "a scan for an unknown model, ms": f"SELECT {heads} FROM completions {ours} "
            f"AND (model = 'x' OR response_model = 'x') {newest}",
            "sums over all, ms": "SELECT model, count(*), sum(prompt_tokens), sum(cost_usd), "
            f"sum(duration_ms) FROM completions {ours} GROUP BY model",
        }


def measure(path: Path, rows: Sequence[Row], *, apart: bool) -> dict[str, float]:
    layout = Layout(path, apart=apart)
    alone = len(rows) // 10

    def insert_one_by_one() -> None:
        for row in rows[:alone]:
            layout.insert([row])

    figures = {"insert alone, us": spend(insert_one_by_one) / alone * 1e6}
    log = path.with_name(f"{path.name}-wal")
    figures["bytes of the log a record, alone"] = log.stat().st_size / alone
    batches = [rows[begin : begin + BATCH_ROWS] for begin in range(alone, len(rows), BATCH_ROWS)]

    def insert_batches() -> None:
        for number, batch in enumerate(batches):
            layout.insert(batch)
            if number % CHECKPOINT_BATCHES == 0:
                layout.connection.execute("PRAGMA wal_checkpoint(RESTART)")

    figures["insert by 32, with checkpoints, us"] = (
        spend(insert_batches) / (len(rows) - alone) * 1e6
    )
    layout.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    figures["bytes of the file a record"] = path.stat().st_size / len(rows)
    ids = [row["id"] for row in random.Random(1).sample(rows, 200)]
    for name, query in layout.queries().items():
        times = []
        for id in ids if "newest" in name or "id" in name.split() else ids[:5]:
            values = [id] if "?" in query else []
            times.append(spend(partial(layout.read, query, values)))
        figures[name] = statistics.median(times) * 1e3
    layout.connection.close()
    return figures


def spend(work: Callable[[], object]) -> float:
    """The CPU time of some work, in seconds."""
    before = time.thread_time()
    work()
    return time.thread_time() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=30_000)
    parser.add_argument("--scale", type=float, default=1, help="how long the bodies are")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=None, help="a folder on the disk to measure")
    arguments = parser.parse_args()
    rows = list(create_rows(arguments.records, scale=arguments.scale))
    found: dict[bool, list[dict[str, float]]] = {False: [], True: []}
    for _ in range(arguments.rounds):
        for apart, figures in found.items():
            with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
                figures.append(measure(Path(folder) / "briggs.db", rows, apart=apart))
    print("| | in the row | apart |\n|---|---|---|")
    for name in found[False][0]:
        wide, apart_ = (statistics.median(each[name] for each in found[way]) for way in found)
        print(f"| {name} | {wide:.3f} | {apart_:.3f} |")


if __name__ == "__main__":
    main()
