"""A run: a real server between hostile callers and a hostile vendor, and what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

from tests.fuzz.answers import create_sent
from tests.fuzz.exchange import Answer, Hostile, Outcome, exchange
from tests.fuzz.requests import CLAUDE, FACES, WIRES, Place, create_hostile
from tests.fuzz.vendor import FakeVendor, Trap, listen
from tests.fuzz.verdicts import CHAT, judge, list_broken
from tests.processes import Server, read_rows, run_server
from tests.wires.folders import ENVIRONMENT

Side = Literal["callers", "upstreams"]
SIDES: tuple[Side, ...] = ("callers", "upstreams")
FOLDER = Path(".cache/fuzz")
"""Where what failed is kept."""
ANSWER_TIMEOUT_S = 25
CONCURRENCY = 16
MEMORY_BYTES_MAX = 8 * 2**30
GROWTH_MB_MAX = 50
SETTLED_WITHIN_S = 20
BLOCKED_S_MAX = 5
_PAGE = 100
_LAST_EVENTS = (
    *(b"data: [DONE]", b"event: message_stop", b"event: response.completed"),
    b"event: response.incomplete",
)
"""How the last event of a stream begins, in each format, if it ended well."""
_BAD_HOST = b"is not a host and a port"
_CANARY = "vendor-canary-51e2"
_ENVIRONMENT = {**ENVIRONMENT, "FUZZ_KEY": _CANARY}
_TRACEBACK = "Traceback (most recent call last):"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LIMITS = """
[limits]
body_bytes_max = 1000000
answer_bytes_max = 1000000
header_timeout_s = 2
body_timeout_s = 2
keep_alive_timeout_s = 10
connect_timeout_s = 2
upstream_timeout_s = 2
call_timeout_s = 10
write_timeout_s = 5
drain_timeout_s = 3
shutdown_timeout_s = 10
"""


class Failure(NamedTuple):
    """An input that broke something."""

    number: int
    kind: str
    problems: list[str]


class Report:
    """What came of a side's inputs."""

    def __init__(self, side: Side, seed: int) -> None:
        self.side = side
        self.seed = seed
        self.statuses: dict[str, Counter[str]] = defaultdict(Counter)
        """By kind; `closed` where there was no answer, `left` where none was waited for."""
        self.slowest: dict[str, tuple[float, int]] = {}
        """By kind, in seconds, and the number of the input."""
        self.failures: list[Failure] = []
        self.problems: list[str] = []
        """Those of the run as a whole."""
        self.answered: dict[str, bool] = {}
        """Ids of calls that got a whole answer, and whether it was a good one."""
        self.unanswered = 0
        """Inputs that may be on record, or not: nobody waited for an answer, or was let in."""
        self.blocked_s = 0.0
        """The longest that `/health` took."""
        self.rss_mb = (0, 0, 0)
        """Before, at its highest, and after."""
        self.rss_seen: list[int] = []
        self.recorded = 0
        self.duration_s = 0.0

    @property
    def inputs(self) -> int:
        return sum(sum(counted.values()) for counted in self.statuses.values())

    @property
    def is_good(self) -> bool:
        return not (self.failures or self.problems)


class Arena(NamedTuple):
    """Everything that a run needs."""

    server: Server
    vendor: FakeVendor
    trap: Trap
    place: Place
    report: Report


async def run(
    side: Side,
    *,
    seed: int,
    inputs: int,
    seconds: float,
    only: int | None = None,
    shown: int = 12,
) -> Report:
    """Send so many inputs, or this one only, and judge all that came of it.

    So many of the records are shown by the commands at the end, which must bear them too.
    """
    began = time.monotonic()
    with _deep_stack(), tempfile.TemporaryDirectory(prefix="briggs-fuzz-") as name:
        folder = Path(name)
        async with _open_arena(side, seed, folder) as arena:
            await _warm_up(arena)
            first = range(inputs // 4) if only is None else [only]
            pinging = asyncio.create_task(_ping(arena))
            before = 0
            try:
                async with asyncio.timeout(seconds):
                    await _work_on(arena, first)
                    # By now the caches are full. Their size is bounded: the database's has 16 MB.
                    before = read_rss_mb(arena.server)
                    await _work_on(arena, range(len(first), inputs) if only is None else [])
            except TimeoutError:
                arena.report.problems.append(f"not through within {seconds:.0f} s")
            pinging.cancel()
            await asyncio.gather(pinging, return_exceptions=True)
            await _settle(arena, before)
            await _check_lists(arena)
            await _check_commands(arena, shown)
            arena.report.problems += _check_process(arena)
        arena.report.problems += _check_log(folder, arena.place)
        arena.report.problems += _check_records(arena)
    arena.report.duration_s = time.monotonic() - began
    return arena.report


@contextlib.contextmanager
def _deep_stack() -> Iterator[None]:
    """Make room on the stack to read what is nested as deeply as Briggs may send it."""
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(max(10_000, usual))
    try:
        yield
    finally:
        sys.setrecursionlimit(usual)


def read_rss_mb(server: Server) -> int:
    """What the server's process holds in memory."""
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20


def read_highest_rss_mb(server: Server) -> int:
    """The most that it ever held."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    [highest] = re.findall(r"VmHWM:\s+(\d+)", status)
    return int(highest) // 1024


@contextlib.asynccontextmanager
async def _open_arena(side: Side, seed: int, folder: Path) -> AsyncIterator[Arena]:
    trap = Trap()
    async with listen(trap) as trap_port:
        vendor = FakeVendor(seed, f"127.0.0.1:{trap_port}")
        async with listen(vendor) as port:
            opening = run_server(folder / "data", config=_write(port), environment=_ENVIRONMENT)
            server = await asyncio.to_thread(opening.__enter__)
            try:
                limits = (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX)
                resource.prlimit(server.process.pid, resource.RLIMIT_AS, limits)
                place = Place(server.key, server.port, trap_port, "")
                yield Arena(server, vendor, trap, place, Report(side, seed))
            finally:
                await asyncio.to_thread(opening.__exit__, None, None, None)


def _write(port: int) -> str:
    """briggs.toml: a provider for each wire."""
    versions = {"openai": "/v1", "anthropic": "/v1", "gemini": "/v1", "cohere": "/v2"}
    versions |= {"mistral": "/v1", "ollama-native": "/api", "bedrock": "", CLAUDE: ""}
    own = {CLAUDE: ("bedrock", "messages = true\n")}
    tables = [
        f'[providers.{wire}]\nkind = "{kind}"\ndrop_unsupported = true\n{more}'
        f'base_url = "http://127.0.0.1:{port}/{wire}{versions[wire]}"\n'
        'key_variable = "FUZZ_KEY"\n'
        for wire in WIRES
        for kind, more in [own.get(wire, (wire, ""))]
    ]
    head = 'default_provider = "openai"\norigins = ["https://app.example"]\n'
    return head + _LIMITS + '[models.fast]\ntargets = ["openai/ok"]\n' + "".join(tables)


async def _warm_up(arena: Arena) -> None:
    """What every process takes once is no growth."""
    for _ in range(2):
        for wire in WIRES:
            for stream in (False, True):
                good = _create_good(arena, f"{wire}/ok", stream=stream)
                outcome = await exchange(arena.server.port, good, timeout_s=ANSWER_TIMEOUT_S)
                problems = judge(good, outcome, secrets=())
                assert not problems and outcome.answers[0].status == 200, (problems, outcome)
                _note_answer(arena.report, outcome)
    # Nor is what a schema, a filter or a long body does for the first time.
    for number in range(100):
        hostile = create_hostile(-1, number, arena.place)
        if hostile.kind not in ("slow", "odd framing"):
            outcome = await exchange(arena.server.port, hostile, timeout_s=ANSWER_TIMEOUT_S)
            _note_answer(arena.report, outcome)


async def _work_on(arena: Arena, numbers: Iterable[int]) -> None:
    shared = iter(numbers)
    await asyncio.gather(*(_work(arena, shared) for _ in range(CONCURRENCY)))


async def _work(arena: Arena, numbers: Iterator[int]) -> None:
    for number in numbers:
        try:
            await (_send_hostile if arena.report.side == "callers" else _ask_hostile)(arena, number)
        except Exception as error:
            arena.report.failures.append(Failure(number, "?", [f"the run itself: {error!r}"]))


async def _send_hostile(arena: Arena, number: int) -> None:
    """An input of the callers' side."""
    report, server = arena.report, arena.server
    id = next(reversed(report.answered))
    hostile = create_hostile(report.seed, number, arena.place._replace(id=id))
    outcome = await exchange(server.port, hostile, timeout_s=ANSWER_TIMEOUT_S)
    # A graph of the API may show keys that were made, but never ours.
    problems = judge(hostile, outcome, secrets=(server.key.encode(), _CANARY.encode()))
    _note(report, number, hostile, outcome, problems, b"".join(hostile.pieces))


async def _ask_hostile(arena: Arena, number: int) -> None:
    """An input of the upstreams' side."""
    report = arena.report
    sent = create_sent(report.seed, number)
    draw = random.Random(f"{report.seed}/asked/{number}")
    path = draw.choice([*FACES]) if draw.random() < 0.3 else CHAT.decode()
    path = "/v1/messages" if sent.wire == CLAUDE else path
    if path == CHAT.decode():
        good = _create_good(arena, f"{sent.wire}/fuzz-{number}", stream=sent.stream, draw=draw)
    else:
        # OpenAI has models of this name for chats only. So the other half passes.
        model = f"{sent.wire}/{draw.choice(['', 'gpt-5-'])}fuzz-{number}"
        asked = {**FACES[path], "model": model, "stream": sent.stream}
        good = _create_request(arena, path, asked)
    good = good._replace(kind=sent.kind)
    outcome = await exchange(arena.server.port, good, timeout_s=ANSWER_TIMEOUT_S)
    problems = judge(good, outcome, secrets=(arena.server.key.encode(), _CANARY.encode()))
    if not problems and good.path == CHAT:
        problems = _judge_chat(outcome, good)
    steps = b"".join(step.data * min(step.times, 2) for step in sent.steps)
    _note(report, number, good, outcome, problems, steps, wire=sent.wire)


def _judge_chat(outcome: Outcome, good: Hostile) -> list[str]:
    """What is wrong with the one answer to a good request."""
    if len(outcome.answers) != 1:
        return [f"{len(outcome.answers)} answers"]
    [answer] = outcome.answers
    if not answer.find(b"x-briggs-completion-id"):
        return [f"{answer.status} without the id of its record"]
    body = b"".join(good.pieces).partition(b"\r\n\r\n")[2]
    try:
        broken = list_broken(
            answer.body, status=answer.status, content_type=answer.content_type, request=body
        )
    except (ValueError, AssertionError) as error:
        return [f"an answer that cannot be read: {error!r}"]
    return [f"an answer that breaks {sorted(broken)}"] if broken else []


def _create_good(
    arena: Arena, model: str, *, stream: bool, draw: random.Random | None = None
) -> Hostile:
    request: dict[str, object] = {
        "model": model,
        "messages": [{"role": "user", "content": "hi"}],
        "stream": stream,
    }
    if draw is not None and draw.random() < 0.5:
        function = {"name": "now", "parameters": {"type": "object", "properties": {}}}
        request["tools"] = [{"type": "function", "function": function}]
    if draw is not None and stream and draw.random() < 0.5:
        request["stream_options"] = {"include_usage": True}
    return _create_request(arena, CHAT.decode(), request)


def _create_request(arena: Arena, path: str, request: dict[str, object]) -> Hostile:
    body = json.dumps(request).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{arena.place.port}\r\n"
        f"Authorization: Bearer {arena.place.key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return Hostile("good", [head.encode() + body], path=path.encode())


# ---- What is kept of it --------------------------------------------------------------------


def _note(
    report: Report,
    number: int,
    hostile: Hostile,
    outcome: Outcome,
    problems: list[str],
    sent: bytes,
    *,
    wire: str = "",
) -> None:
    first = "left" if hostile.ending == "leave" else "closed"
    status = str(outcome.answers[0].status) if outcome.answers else first
    report.statuses[hostile.kind][status] += 1
    if outcome.duration_s > report.slowest.get(hostile.kind, (0.0, 0))[0]:
        report.slowest[hostile.kind] = (outcome.duration_s, number)
    _note_answer(report, outcome)
    if problems:
        report.failures.append(Failure(number, f"{hostile.kind} {wire}".strip(), problems))
        _save(report, number, sent, outcome, problems)


def _note_answer(report: Report, outcome: Outcome) -> None:
    if not outcome.answers:
        report.unanswered += 1
    for answer in outcome.answers:
        ids = answer.find(b"x-briggs-completion-id")
        if ids and (answer.status in (401, 403) or _BAD_HOST in answer.body):
            # Of calls that are not let in, only so many a minute are recorded.
            report.unanswered += 1
        elif ids:
            report.answered[ids[0].decode()] = _is_success(answer)


def _is_success(answer: Answer) -> bool:
    if answer.content_type.startswith("text/event-stream"):
        last = answer.body.rstrip().rpartition(b"\n\n")[2]
        return last.startswith(_LAST_EVENTS) and b"event: error" not in answer.body
    if answer.content_type.startswith("application/x-ndjson"):
        return b'"error"' not in answer.body.rstrip().rpartition(b"\n")[2]
    return answer.status == 200


def _save(report: Report, number: int, sent: bytes, outcome: Outcome, problems: list[str]) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    text = "\n".join(problems).encode("utf-8", "replace")
    path = FOLDER / f"{report.side}-{report.seed}-{number}"
    path.write_bytes(
        text + b"\n\n== sent ==\n" + sent[:100_000] + b"\n\n== got ==\n" + outcome.raw[:100_000]
    )


# ---- What is looked at beside the answers --------------------------------------------------


async def _ping(arena: Arena) -> None:
    """See how long the server is deaf: whatever it is busy with must not be all that it does."""
    head = f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{arena.place.port}\r\n\r\n"
    asked = Hostile("health", [head.encode()], method=b"GET", path=b"/health")
    report = arena.report
    while True:
        try:
            outcome = await exchange(arena.server.port, asked, timeout_s=ANSWER_TIMEOUT_S)
        except OSError as error:
            report.problems.append(f"/health cannot be reached: {error}")
            return
        report.blocked_s = max(report.blocked_s, outcome.duration_s)
        report.rss_seen.append(read_rss_mb(arena.server))
        if [answer.status for answer in outcome.answers] != [200]:
            report.problems.append(f"/health answered {outcome.raw[:200]!r}")
            return
        await asyncio.sleep(0.2)


async def _settle(arena: Arena, before: int) -> None:
    """Wait until memory is given back, for a bounded time."""
    deadline = time.monotonic() + SETTLED_WITHIN_S
    while (after := read_rss_mb(arena.server)) > before + GROWTH_MB_MAX:
        if time.monotonic() > deadline:
            arena.report.problems.append(f"memory grew from {before} MB to {after} MB")
            break
        await asyncio.sleep(0.5)
    arena.report.rss_mb = (before, read_highest_rss_mb(arena.server), after)


async def _check_lists(arena: Arena) -> None:
    """Every record can be read, on both faces, also in one list with all the others."""
    after = ""
    for _ in range(len(arena.report.answered) // _PAGE + 20):
        query = f"limit={_PAGE}&status=any&order=desc&after={after}"
        page = await _get(arena, f"/v1/chat/completions?{query}")
        if page is None or not page["data"]:
            break
        after = quote(page["last_id"], safe="")
    for offset in range(0, len(arena.report.answered), _PAGE):
        if await _get(arena, f"/api/completions?limit={_PAGE}&offset={offset}") is None:
            break
    for id in list(arena.report.answered)[::_PAGE]:
        for path in (f"/v1/chat/completions/{id}", f"/api/v1/completions/{id}"):
            await _get(arena, path)


async def _get(arena: Arena, target: str) -> Any:
    """What a route says; None, and a problem of the run, where it says no JSON."""
    head = (
        f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{arena.place.port}\r\n"
        f"Authorization: Bearer {arena.place.key}\r\n\r\n"
    )
    path = target.partition("?")[0].encode()
    asked = Hostile("list", [head.encode()], method=b"GET", path=path)
    asked = asked._replace(statuses=frozenset({200}))
    outcome = await exchange(arena.server.port, asked, timeout_s=ANSWER_TIMEOUT_S)
    if problems := judge(asked, outcome, secrets=()):
        arena.report.problems.append(f"GET {target}: {problems[0]}")
        return None
    return json.loads(outcome.answers[0].body)


async def _check_commands(arena: Arena, shown: int) -> None:
    """What is shown of the records steers no terminal."""
    ids = list(arena.report.answered)[-shown:]
    listed = (["completions", "list", "--limit", "100"], ["sessions", "list"])
    for command in [*listed, *(["completions", "get", id] for id in ids)]:
        ended = await asyncio.to_thread(_run_command, arena, command)
        text = ended.stdout
        if found := _CONTROL.search(text):
            around = text[max(found.start() - 80, 0) : found.end() + 20]
            arena.report.problems.append(f"briggs {' '.join(command)} shows {around!r}")
        if ended.returncode != 0 or "Traceback" in text:
            arena.report.problems.append(f"briggs {' '.join(command)} failed: {text[-300:]}")


def _run_command(arena: Arena, command: list[str]) -> subprocess.CompletedProcess[str]:
    server = arena.server
    environment = {**os.environ, "BRIGGS_URL": server.url, "BRIGGS_API_KEY": server.key}
    return _run_on_terminal([sys.executable, "-m", "briggs", *command], environment)


def _run_on_terminal(
    command: list[str], environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run it as on a terminal that knows no colours, so that all that is left is text."""
    ours, theirs = pty.openpty()
    environment |= {"TERM": "dumb", "NO_COLOR": "1", "COLUMNS": "200", "PAGER": "cat"}
    try:
        process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
        )
    finally:
        os.close(theirs)
    shown = bytearray()
    # The other end is gone when the command has ended.
    with contextlib.suppress(OSError):
        while data := os.read(ours, 65536):
            shown += data
    os.close(ours)
    text = shown.decode("utf-8", "replace").replace("\r\n", "\n")
    return subprocess.CompletedProcess(command, process.wait(timeout=60), text, "")


def _check_process(arena: Arena) -> Iterator[str]:
    if arena.server.process.poll() is not None:
        yield f"the server ended with {arena.server.process.returncode}"
    if arena.trap.visits:
        yield f"Briggs was led to {arena.trap.visits} connections to an address of a caller's"
    if arena.report.blocked_s > BLOCKED_S_MAX:
        yield f"/health took {arena.report.blocked_s:.1f} s"
    problems = Counter(arena.vendor.problems)
    yield from (f"{count} times: {problem}" for problem, count in problems.most_common(20))


def _check_log(folder: Path, place: Place) -> Iterator[str]:
    log = (folder / "data.log").read_text(errors="replace")
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "log").write_text(log)
    # The first start shows the key that it made.
    said = log.replace(f"OPENAI_API_KEY={place.key}", "")
    wrongs = {"a secret": place.key, "a vendor's key": _CANARY, "a forged line": "\nERROR FORGED"}
    yield from (f"the log has {what}" for what, word in wrongs.items() if word in said)
    raised = Counter(_name_raised(passage) for passage in said.split(_TRACEBACK)[1:])
    yield from (f"{count} times in the log: {name}" for name, count in raised.most_common())
    if found := _CONTROL.search(said):
        yield f"the log steers a terminal: {said[max(found.start() - 200, 0) : found.end()]!r}"


def _name_raised(passage: str) -> str:
    """An exception, and the line of ours that it came through last."""
    passage = re.split("^(?=ERROR|WARNING)", passage, maxsplit=1, flags=re.MULTILINE)[0]
    places = re.findall(r'src/briggs/(\S+)", line (\d+)', passage) or [("?", "0")]
    lines = [line for line in passage.splitlines() if line and not line.startswith(" ")]
    return f"{':'.join(places[-1])}: {lines[-1][:200] if lines else '?'}"


def _check_records(arena: Arena) -> Iterator[str]:
    """Every answer is on record as what it was; what else is there, had no reader."""
    report = arena.report
    rows = read_rows(arena.server.data, "id, status, source, kind, stream, failure_kind")
    statuses = {row["id"]: row["status"] for row in rows if row["source"] == "gateway"}
    report.recorded = len(statuses)
    missing = [id for id in report.answered if id not in statuses]
    ends = {True: "finished", False: "failed"}
    wrong = [
        id
        for id, success in report.answered.items()
        if statuses.get(id, ends[success]) != ends[success]
    ]
    begun = [id for id, status in statuses.items() if status == "started"]
    extra = len(statuses) - len(report.answered) + len(missing)
    if missing:
        yield f"{len(missing)} answers are not on record, {missing[0]} for one"
    if wrong:
        row = next(row for row in rows if row["id"] == wrong[0])
        yield f"{len(wrong)} answers are on record as something else, for one {row}"
    if begun:
        yield f"{len(begun)} records never ended"
    if extra > report.unanswered:
        yield f"{extra} records without an answer, of {report.unanswered} who had none"
