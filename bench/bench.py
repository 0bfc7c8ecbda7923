"""Compares Briggs with a bare proxy and its peers: `python -m bench.bench [--quick]`

What is measured. Every target passes chat completions to one mock upstream (upstream.c), and one
driver (load.c) makes the calls. Both are small C programs, so their own work distorts little. The
upstream's cost per request is printed with the table. For each target, in this order:

  start        the time from the start of the process, in an empty folder, to its first answer
  RSS idle     the memory of the process and its children, one second after that answer
  p50, p99     the latency of a whole answer at 1 connection. "Added" is the difference to the
               upstream alone in the same round
  CPU/request  the user and system time of the process and its children at 32 connections in a
               closed loop, divided by the answers. It is read when the target is quiet again, so
               that deferred work is included
  CPU/chunk    the same for 32 streams, whose chunks come some milliseconds apart, as tokens do:
               (CPU of the run / streams - CPU of a whole request) / chunks of a stream
  RSS after    the memory at the end
  records      the rows in the database after the target has stopped, compared with the answers
               that the driver got

Then nginx and Briggs are measured in a second shape, as users run them: no process is kept on a
core, the upstream is nginx, and wrk makes the calls (unpinned.py).

After that, once: the highest rate of arrivals at which a target adds less than 5 ms at the 95th
percentile and makes no error (open loop: latency counts from when a request was due). And 200,000
calls on one process, to see whether its memory grows.

Why it is fair. Every target gets the same request, headers, connections, durations and cores, and
runs alone. Rounds are interleaved (A B C, A B C, ...). A target is started again in each round, and
each figure is the median over the rounds. An answer counts only if its text is complete and in
order. A stream counts only if it ends with [DONE]. The upstream counts its requests, so a target
cannot answer from a cache, and it rejects any other key or model. Peers run as their documentation
starts them, with one worker and without a database: they record nothing, while Briggs records every
call. Data is on the disk of this repository, never on a tmpfs.

Its limits. Two cores of a shared machine are noisy. Trust the ratios and the CPU times. Compare
latencies only within one run.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bench import processes, report, targets, unpinned
from bench.figures import CONNECTIONS, SOAK_CALLS, Bench, Cpu, Load, Rate, Round, Soak, Unpinned
from bench.processes import Placement
from bench.targets import Launch, Target

TOKENS = 27  # with their logprobs: an answer of 2.5 KB
STREAM_TOKENS = 97
STREAM_CHUNKS = STREAM_TOKENS + 3  # plus the role, the finish and the usage
START_PATIENCE_S = 90
RATE_CONNECTIONS = 256
RATE_P95_ADDED_US = 5_000
ABSENT = object()
BUILD = targets.REPOSITORY / "build" / "bench"
RESULTS = targets.REPOSITORY / "bench" / "results"
DOCUMENT = targets.REPOSITORY / "docs" / "performance.md"
QUESTION = (
    "Count from zero, one number after the other, each followed by one space, and stop after the "
    "last one that you were asked for. Do not explain anything, do not use words, and do not add "
    "a line break anywhere; a caller will compare what you write with what it expects."
)


class TargetFailed(Exception):
    """A target did not start to answer. The message has its output."""


@dataclass(frozen=True)
class Durations:
    """How long each part of a round lasts, in seconds, and the number of rounds."""

    rounds: int = 3
    warm_up_s: float = 1.0
    one_s: float = 3.0
    many_s: float = 4.0
    streams_s: float = 4.0
    unpinned_s: int = 5
    """wrk takes whole seconds only."""
    rate_s: float = 2.0
    """The length of one step of the search for the highest rate. 0 skips the search."""
    soak_calls: int = SOAK_CALLS


QUICK = Durations(
    rounds=1,
    warm_up_s=0.3,
    one_s=1.2,
    many_s=1.5,
    streams_s=1.5,
    unpinned_s=2,
    rate_s=0,
    soak_calls=0,
)


@dataclass
class Running:
    """A target that has answered once, and its results so far."""

    launch: Launch
    port: int
    pid: int | None
    """None if it has no process of its own."""
    headers: dict[str, str]
    start_s: float | None
    first_answer: bytes
    answers: int = 1
    errors: int = 0
    stopped: bool = True
    records: dict[str, int] | None = None
    """`stopped` and `records` are known once the target has stopped."""


@dataclass(frozen=True)
class Upstream:
    """The mock upstream, which serves all targets and rounds."""

    pid: int
    port: int

    def read_answered(self) -> int:
        """How many requests the upstream has answered with a completion."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port)) as connection:
            connection.request("GET", "/stats")
            return int(json.loads(connection.getresponse().read())["answered"])


# ---- One target -----------------------------------------------------------------------------


def measure(
    target: Target, *, upstream: Upstream, durations: Durations, placement: Placement
) -> Round:
    """Start a target, run every phase, stop it, and count its records."""
    answered_before = upstream.read_answered()
    with run_target(target, upstream=upstream, placement=placement) as running:
        time.sleep(1)
        rss_idle_mb = read_rss_mb(running)
        drive(running, placement=placement, seconds=durations.warm_up_s, connections=CONNECTIONS)
        one = drive(running, placement=placement, seconds=durations.one_s, connections=1)
        upstream_cpu_s = processes.read_cpu_s(upstream.pid)
        many, request_cpu = weigh(running, placement=placement, seconds=durations.many_s)
        upstream_cpu_s = processes.read_cpu_s(upstream.pid) - upstream_cpu_s
        streams, stream_cpu = weigh(
            running, placement=placement, seconds=durations.streams_s, stream=True
        )
        rss_after_mb = read_rss_mb(running)
    chunk_cpu_us = None
    if request_cpu is not None and stream_cpu is not None:
        chunk_cpu_us = (stream_cpu.us - request_cpu.us) / STREAM_CHUNKS
    return Round(
        start_s=running.start_s,
        rss_idle_mb=rss_idle_mb,
        rss_after_mb=rss_after_mb,
        request_cpu=request_cpu,
        chunk_cpu_us=chunk_cpu_us,
        upstream_cpu_us=upstream_cpu_s * 1e6 / max(1, many.answers),
        one=one,
        many=many,
        streams=streams,
        answers=running.answers,
        errors=running.errors,
        upstream_answers=upstream.read_answered() - answered_before,
        records=running.records,
        stopped=running.stopped,
        fidelity=compare_answers(running.first_answer, ask_upstream(upstream)),
    )


@contextlib.contextmanager
def run_target(target: Target, *, upstream: Upstream, placement: Placement) -> Iterator[Running]:
    """Run a target in an empty folder, from its first answer until it is stopped."""
    folder = Path(tempfile.mkdtemp(prefix="target-", dir=BUILD))
    launch = target.prepare(folder, upstream.port)
    try:
        if not launch.command:
            yield find_running(launch, port=upstream.port)
            return
        log = folder / "output.log"
        began = time.monotonic()
        process = processes.start_process(
            launch.command,
            cores=placement.target,
            log=log,
            folder=folder,
            environment=launch.environment,
        )
        try:
            running = wait_for_answer(launch, process=process, log=log, began=began)
            yield running
        finally:
            stopped = processes.stop_process(process)
        running.stopped = stopped
        running.records = target.count_records(folder) if target.count_records else None
    finally:
        shutil.rmtree(folder)


def wait_for_answer(
    launch: Launch, *, process: subprocess.Popen[bytes], log: Path, began: float
) -> Running:
    """Call a starting target repeatedly until it answers."""
    while time.monotonic() < began + START_PATIENCE_S and process.poll() is None:
        port = launch.port or targets.find_printed_port(log)
        if port is not None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                answer = ask(launch, port=port, headers=launch.read_headers())
                start_s = time.monotonic() - began
                return Running(launch, port, process.pid, launch.read_headers(), start_s, answer)
        time.sleep(0.005)
    printed = log.read_text(errors="replace")[-3000:]
    raise TargetFailed(f"{launch.command[0]} did not answer. Its output:\n{printed}")


def find_running(launch: Launch, *, port: int) -> Running:
    """The upstream itself, as a target that is already running."""
    headers = launch.read_headers()
    return Running(launch, port, None, headers, None, ask(launch, port=port, headers=headers))


def ask(launch: Launch, *, port: int, headers: dict[str, str]) -> bytes:
    """Get one whole answer. Raises `HTTPException` for any status except 200."""
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    ) as connection:
        content_type = {"Content-Type": "application/json"}
        body = create_body(launch.model, stream=False)
        connection.request("POST", launch.path, body=body, headers=headers | content_type)
        response = connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise http.client.HTTPException(f"{response.status}: {answer[:500]!r}")
        return answer


def ask_upstream(upstream: Upstream) -> bytes:
    launch = Launch()
    return ask(launch, port=upstream.port, headers=launch.read_headers())


def create_body(model: str, *, stream: bool) -> str:
    """The request that every target gets."""
    body = {
        "model": model,
        "messages": [
            {"role": "system", "content": "You are a patient counter of numbers."},
            {"role": "user", "content": QUESTION},
        ],
        "temperature": 0,
        "max_tokens": 200,
    }
    if stream:
        return json.dumps({**body, "stream": True, "stream_options": {"include_usage": True}})
    return json.dumps({**body, "logprobs": True})


def compare_answers(answer: bytes, sent: bytes) -> str:
    """Compare a target's answer with the upstream's, except for the id, which always differs."""
    answer, sent = (re.sub(rb"chatcmpl-[^\"]+", b"chatcmpl", body) for body in (answer, sent))
    if answer == sent:
        return "byte for byte"
    lost = list(dict.fromkeys(list_lost(json.loads(answer), json.loads(sent))))
    return f"lost: {', '.join(lost)}" if lost else "as other JSON, nothing lost"


def list_lost(given: object, sent: object, path: str = "") -> Iterator[str]:
    """The paths of members that are missing or have another value."""
    if isinstance(sent, dict) and isinstance(given, dict):
        for name, value in sent.items():
            yield from list_lost(given.get(name, ABSENT), value, f"{path}.{name}".lstrip("."))
    elif isinstance(sent, list) and isinstance(given, list) and len(sent) == len(given):
        for one, other in zip(given, sent, strict=True):
            yield from list_lost(one, other, path)
    elif given != sent:
        yield f"`{path}`"


# ---- The driver -----------------------------------------------------------------------------


def drive(
    running: Running,
    *,
    placement: Placement,
    connections: int,
    seconds: float | None = None,
    requests: int | None = None,
    rate: float | None = None,
    stream: bool = False,
    look: Callable[[], None] = lambda: None,
) -> Load:
    """Run load.c once. Meanwhile, call `look` twice a second."""
    command = [str(BUILD / "load"), "--connections", str(connections)]
    command += ["--stream"] if stream else []
    command += ["--seconds", str(seconds)] if seconds is not None else []
    command += ["--requests", str(requests)] if requests is not None else []
    command += ["--rate", str(rate)] if rate is not None else []
    for name, value in running.headers.items():
        command += ["--header", f"{name}: {value}"]
    command += [str(running.port), running.launch.path, str(STREAM_TOKENS if stream else TOKENS)]
    command += [create_body(running.launch.model, stream=stream)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        preexec_fn=lambda: processes.stay_on(placement.driver),
    ) as process:
        while True:
            look()
            with contextlib.suppress(subprocess.TimeoutExpired):
                output, _ = process.communicate(timeout=0.5)
                break
    if process.returncode != 0:
        raise SystemExit(f"the driver ended with {process.returncode}")
    load = Load(**json.loads(output))
    running.answers += load.answers
    running.errors += load.error_count
    return load


def weigh(
    running: Running, *, placement: Placement, seconds: float, stream: bool = False
) -> tuple[Load, Cpu | None]:
    """Run a closed loop, and measure the target's CPU time for each answer."""
    if running.pid is None:
        load = drive(
            running, placement=placement, seconds=seconds, connections=CONNECTIONS, stream=stream
        )
        return load, None
    processes.wait_until_quiet(running.pid)
    before_s = processes.read_cpu_s(running.pid)
    load = drive(
        running, placement=placement, seconds=seconds, connections=CONNECTIONS, stream=stream
    )
    at_the_end_s = processes.read_cpu_s(running.pid)
    processes.wait_until_quiet(running.pid)
    later_s = processes.read_cpu_s(running.pid) - at_the_end_s
    answers = max(1, load.whole_count)
    return load, Cpu(
        us=(at_the_end_s + later_s - before_s) * 1e6 / answers, later_us=later_s * 1e6 / answers
    )


def read_rss_mb(running: Running) -> float | None:
    return None if running.pid is None else processes.read_rss_mb(running.pid)


# ---- The second shape ----------------------------------------------------------------------


def measure_unpinned(
    chosen: Sequence[Target], *, durations: Durations
) -> dict[str, list[Unpinned]]:
    """Measure nginx and Briggs in interleaved rounds, with nothing kept on a core."""
    compared = [each for each in chosen if each in (targets.NGINX, targets.STRICT)]
    taken: dict[str, list[Unpinned]] = {each.name: [] for each in compared}
    with (
        tempfile.TemporaryDirectory(prefix="upstream-", dir=BUILD) as folder,
        unpinned.run_upstream(Path(folder)) as (pid, port),
    ):
        upstream = Upstream(pid, port)
        for number in range(durations.rounds):
            for target in compared:
                say(f"unpinned round {number + 1} of {durations.rounds}: {target.name}")
                taken[target.name].append(
                    measure_one_unpinned(target, upstream=upstream, durations=durations)
                )
    return taken


def measure_one_unpinned(target: Target, *, upstream: Upstream, durations: Durations) -> Unpinned:
    with run_target(target, upstream=upstream, placement=unpinned.ANYWHERE) as running:
        assert running.pid is not None, "the upstream itself is not measured"
        call = partial(
            unpinned.call,
            pid=running.pid,
            url=f"http://127.0.0.1:{running.port}{running.launch.path}",
            headers=running.headers,
            body=create_body(running.launch.model, stream=False),
        )
        call(seconds=1)  # to warm up
        return call(seconds=durations.unpinned_s)


# ---- The highest rate, and the long run -----------------------------------------------------


def find_highest_rate(
    target: Target,
    *,
    many_rate: float,
    seconds: float,
    upstream: Upstream,
    placement: Placement,
) -> Rate:
    """Find the highest rate by bisection, in six steps from a tenth of the closed loop's rate."""
    low, high = 0.1 * many_rate, many_rate
    p95_added_us = 0.0
    with run_target(targets.DIRECT, upstream=upstream, placement=placement) as direct:
        direct_p95_us = drive(
            direct,
            placement=placement,
            seconds=seconds,
            connections=RATE_CONNECTIONS,
            rate=many_rate / 2,
        ).latency_us["p95"]
    with run_target(target, upstream=upstream, placement=placement) as running:
        drive(running, placement=placement, seconds=1, connections=CONNECTIONS)
        for _ in range(6):
            rate = (low + high) / 2
            # Try twice, so that a short disturbance of the machine does not count.
            for _ in range(2):
                load = drive(
                    running,
                    placement=placement,
                    seconds=seconds,
                    connections=RATE_CONNECTIONS,
                    rate=rate,
                )
                added_us = load.latency_us.get("p95", float("inf")) - direct_p95_us
                if added_us < RATE_P95_ADDED_US and load.error_count == 0:
                    low, p95_added_us = rate, added_us
                    break
            else:
                high = rate
    return Rate(requests_per_s=low, p95_added_us=p95_added_us)


def soak(target: Target, *, calls: int, upstream: Upstream, placement: Placement) -> Soak:
    """Make many calls on one process, and record its memory as calls are answered."""
    memory: list[tuple[int, float]] = []
    with run_target(target, upstream=upstream, placement=placement) as running:
        assert running.pid is not None, "the upstream itself has no soak"
        pid, answered_before = running.pid, upstream.read_answered()

        def look() -> None:
            answered = upstream.read_answered() - answered_before
            memory.append((answered, processes.read_rss_mb(pid)))

        load = drive(
            running, placement=placement, requests=calls, connections=CONNECTIONS, look=look
        )
        processes.wait_until_quiet(pid)
        look()
    return Soak(load=load, memory_mb=memory, answers=running.answers, records=running.records)


# ---- All of it ------------------------------------------------------------------------------


def main(arguments: Sequence[str]) -> int:
    """Measure the chosen targets, print the report, and save every figure."""
    options = read_options(arguments)
    build()
    chosen, missing = choose_targets(options.only)
    cores = [] if options.unpinned else sorted(os.sched_getaffinity(0))
    placement = processes.place(cores)
    bench = Bench(
        machine=report.describe_machine(
            placement=placement.description, busy_share=processes.read_busy_share(1)
        ),
        versions={target.name: target.read_version() or "" for target in chosen},
        missing={target.name: f"not installed: `{target.how_to_install}`" for target in missing},
        chunk_interval_ms=options.chunk_interval_ms,
        rounds={target.name: [] for target in chosen},
    )
    say(bench.machine.line)
    with run_upstream(placement, interval_ms=options.chunk_interval_ms) as upstream:
        bench = measure_all(bench, chosen, options=options, upstream=upstream, placement=placement)
    text = report.write_report(bench)
    print(text)
    save(bench)
    if options.write:
        report.replace_table(DOCUMENT, "bench", text)
    return 0


def measure_all(
    bench: Bench,
    chosen: Sequence[Target],
    *,
    options: argparse.Namespace,
    upstream: Upstream,
    placement: Placement,
) -> Bench:
    """Measure the interleaved rounds, then the highest rates, then the long run."""
    durations = QUICK if options.quick else Durations()
    for number in range(durations.rounds):
        for target in [target for target in chosen if target.name in bench.rounds]:
            say(f"round {number + 1} of {durations.rounds}: {target.name}")
            try:
                taken = measure(target, upstream=upstream, durations=durations, placement=placement)
            except (TargetFailed, OSError) as failure:
                # Continue with the others. The report names the missing target.
                say(f"{target.name} is left out: {failure}")
                del bench.rounds[target.name]
                bench.missing[target.name] = "it did not answer"
            else:
                bench.rounds[target.name].append(taken)
    measured = [target for target in chosen if target.name in bench.rounds]
    for target in measured if durations.rate_s else ():
        if options.full or target in (targets.NGINX, targets.STRICT):
            say(f"highest rate: {target.name}")
            bench.rates[target.name] = find_highest_rate(
                target,
                many_rate=max(taken.many.rate for taken in bench.rounds[target.name]),
                seconds=durations.rate_s,
                upstream=upstream,
                placement=placement,
            )
    if unpinned.is_installed():
        bench.unpinned.update(measure_unpinned(measured, durations=durations))
    else:
        bench.missing["the shape without pinning"] = f"not installed: `{unpinned.HOW_TO_INSTALL}`"
    calls = durations.soak_calls if options.soak is None else options.soak
    if not calls or targets.STRICT not in measured:
        return bench
    say(f"{calls:,} calls: {targets.STRICT.name}")
    soaked = soak(targets.STRICT, calls=calls, upstream=upstream, placement=placement)
    return replace(bench, soak=soaked)


def read_options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.bench",
        description="Measures Briggs, a bare proxy and the peers that are installed.",
        epilog="The top of bench/bench.py explains what is measured and why it is fair.",
    )
    parser.add_argument("--quick", action="store_true", help="one short round, about 90 seconds")
    parser.add_argument(
        "--full", action="store_true", help="also find the highest rate of every target"
    )
    parser.add_argument(
        "--soak", type=int, metavar="CALLS", help="the calls of the long run; 0 skips it"
    )
    parser.add_argument(
        "--only", metavar="TEXT", nargs="*", help="only targets whose name contains a TEXT"
    )
    parser.add_argument(
        "--chunk-interval-ms", type=float, default=5, help="the time between chunks of a stream"
    )
    parser.add_argument("--unpinned", action="store_true", help="let the kernel choose the cores")
    parser.add_argument("--write", action="store_true", help="put the table in docs/performance.md")
    return parser.parse_args(arguments)


def choose_targets(only: Sequence[str] | None) -> tuple[list[Target], list[Target]]:
    """The targets to measure, always with `direct`, and those that are not installed."""
    wanted = [
        target
        for target in targets.TARGETS
        if only is None
        or target is targets.DIRECT
        or any(text.lower() in target.name.lower() for text in only)
    ]
    chosen = [target for target in wanted if target.read_version() is not None]
    return chosen, [target for target in wanted if target not in chosen]


def build() -> None:
    """Compile the upstream and the driver."""
    BUILD.mkdir(parents=True, exist_ok=True)
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in ("upstream", "load"):
        source = Path(__file__).with_name(f"{name}.c")
        flags = ["-O2", "-Wall", "-Wextra", "-o", str(BUILD / name)]
        subprocess.run(["gcc", *flags, str(source), "-lm"], check=True)


@contextlib.contextmanager
def run_upstream(placement: Placement, *, interval_ms: float) -> Iterator[Upstream]:
    log = BUILD / "upstream.log"
    sizes = (str(TOKENS), str(STREAM_TOKENS), str(int(interval_ms * 1000)))
    process = processes.start_process(
        (str(BUILD / "upstream"), targets.UPSTREAM_KEY, targets.UPSTREAM_MODEL, *sizes),
        cores=placement.upstream,
        log=log,
        folder=BUILD,
    )
    try:
        while not log.read_text().endswith("\n"):
            time.sleep(0.01)
        yield Upstream(pid=process.pid, port=int(log.read_text()))
    finally:
        processes.stop_process(process)


def save(bench: Bench) -> None:
    """Save every figure of this run, for readers who want more than medians."""
    path = RESULTS / f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.json"
    path.write_text(json.dumps(asdict(bench), indent=1))
    say(f"every figure: {path.relative_to(targets.REPOSITORY)}")


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
