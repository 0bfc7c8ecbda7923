"""The figures that are taken: of one run of the driver, of one round, of the whole bench."""

from __future__ import annotations

from dataclasses import dataclass, field

CONNECTIONS = 32
"""Of the closed loops, whole and streamed, that CPU time is taken from."""

SOAK_CALLS = 200_000
"""Of the long run."""


@dataclass(frozen=True)
class Load:
    """What the driver saw in one run; load.c prints it."""

    answers: int
    seconds: float
    rate: float
    """Answers a second."""
    chunks: int
    errors: dict[str, int]
    latency_us: dict[str, float]
    first_chunk_us: dict[str, float]

    @property
    def whole_count(self) -> int:
        """Answers, and the streams that lack nothing but their [DONE]: both cost the same."""
        return self.answers + self.errors["wrong_end"]

    @property
    def error_count(self) -> int:
        return sum(self.errors.values())


@dataclass(frozen=True)
class Cpu:
    """User and system time of a target and its children for each answer, in microseconds."""

    us: float
    later_us: float
    """That part of it that was spent after the last answer."""


@dataclass(frozen=True)
class Round:
    """All that was measured of one target in one round; None where it has no process."""

    start_s: float | None
    rss_idle_mb: float | None
    rss_after_mb: float | None
    request_cpu: Cpu | None
    chunk_cpu_us: float | None
    upstream_cpu_us: float
    """What an answer costs the upstream at 32 connections."""
    one: Load
    many: Load
    streams: Load
    answers: int
    errors: int
    upstream_answers: int
    records: dict[str, int] | None
    stopped: bool
    fidelity: str


@dataclass(frozen=True)
class Rate:
    """The highest rate of arrivals that was sustained; 0 added if not even the lowest was."""

    requests_per_s: float
    p95_added_us: float


@dataclass(frozen=True)
class Soak:
    """Memory over many calls on one process."""

    load: Load
    memory_mb: list[tuple[int, float]]
    """Calls answered, and resident megabytes then."""
    answers: int
    records: dict[str, int] | None

    def read_memory_mb(self, share: float) -> float:
        """Memory after a share of the calls, 0.0 to 1.0."""
        calls = share * self.memory_mb[-1][0]
        return next(megabytes for answered, megabytes in self.memory_mb if answered >= calls)


@dataclass(frozen=True)
class Machine:
    """Where and when it was measured."""

    date: str
    processor: str
    cores: int
    kernel: str
    python: str
    placement: str
    busy_share: float
    """Of the whole machine, used by others before the first round."""

    @property
    def line(self) -> str:
        return (
            f"{self.date}, {self.processor}, {self.cores} core(s), Linux {self.kernel}, "
            f"Python {self.python}; {self.placement}"
        )


@dataclass(frozen=True)
class Bench:
    """All that one call of the bench measured; what is by target goes by the target's name."""

    machine: Machine
    versions: dict[str, str]
    missing: dict[str, str]
    """Why those that were to be measured are not in the table."""
    chunk_interval_ms: float
    rounds: dict[str, list[Round]]
    rates: dict[str, Rate] = field(default_factory=dict)
    soak: Soak | None = None
