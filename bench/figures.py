"""The figures of one run of the driver, of one round, and of the whole bench."""

from __future__ import annotations

from dataclasses import dataclass, field

CONNECTIONS = 32
"""The connections of the closed loops in which CPU time is measured, whole and streamed."""

SOAK_CALLS = 200_000
"""The calls of the long run."""


@dataclass(frozen=True)
class Load:
    """The driver's results of one run, as load.c prints them."""

    answers: int
    seconds: float
    rate: float
    """Answers per second."""
    chunks: int
    errors: dict[str, int]
    latency_us: dict[str, float]
    first_chunk_us: dict[str, float]

    @property
    def whole_count(self) -> int:
        """Answers, plus streams that lack only their [DONE]. Both cost the same."""
        return self.answers + self.errors["wrong_end"]

    @property
    def error_count(self) -> int:
        return sum(self.errors.values())


@dataclass(frozen=True)
class Cpu:
    """User and system time of a target and its children for each answer, in microseconds."""

    us: float
    later_us: float
    """The part of it that was spent after the last answer."""


@dataclass(frozen=True)
class Round:
    """The figures of one target in one round. None where a figure needs a process of its own."""

    start_s: float | None
    rss_idle_mb: float | None
    rss_after_mb: float | None
    request_cpu: Cpu | None
    chunk_cpu_us: float | None
    upstream_cpu_us: float
    """The upstream's CPU time for each answer at 32 connections, in microseconds."""
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
class Unpinned:
    """The figures of one target in one round of the shape in which nothing is kept on a core."""

    cpu_us: float
    """User and system time of the target and its children for each answer, in microseconds."""
    answers: int
    rate: float
    """Answers per second."""
    p50_us: float
    p99_us: float
    errors: int
    records: dict[str, int] | None = None


@dataclass(frozen=True)
class Rate:
    """The highest rate of arrivals that was sustained. Added is 0 if no tried rate was."""

    requests_per_s: float
    p95_added_us: float


@dataclass(frozen=True)
class Soak:
    """Memory over many calls on one process."""

    load: Load
    memory_mb: list[tuple[int, float]]
    """Pairs: the calls answered so far, and the resident megabytes at that time."""
    answers: int
    records: dict[str, int] | None

    def read_memory_mb(self, share: float) -> float:
        """Memory after a share of the calls, 0.0 to 1.0."""
        calls = share * self.memory_mb[-1][0]
        return next(megabytes for answered, megabytes in self.memory_mb if answered >= calls)


@dataclass(frozen=True)
class Machine:
    """The machine, and the time of the measurement."""

    date: str
    processor: str
    cores: int
    kernel: str
    python: str
    placement: str
    busy_share: float
    """The share of the machine that other programs used before the first round."""

    @property
    def line(self) -> str:
        return (
            f"{self.date}, {self.processor}, {self.cores} core(s), Linux {self.kernel}, "
            f"Python {self.python}; {self.placement}"
        )


@dataclass(frozen=True)
class Bench:
    """The results of one run of the bench. Dictionaries have the targets' names as keys."""

    machine: Machine
    versions: dict[str, str]
    missing: dict[str, str]
    """Targets that are not in the table, each with the reason."""
    chunk_interval_ms: float
    rounds: dict[str, list[Round]]
    unpinned: dict[str, list[Unpinned]] = field(default_factory=dict)
    """The second shape: nginx and Briggs only."""
    rates: dict[str, Rate] = field(default_factory=dict)
    soak: Soak | None = None
