"""Spreads a run over the machines of a Ray cluster, which ask through the server and score.

The machines import this module too. They need briggs and ray, and none of the server's packages.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import threading
import warnings
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import click
import msgspec

from briggs.cli.evaluating.running import Spreading, watch_run
from briggs.cli.evaluating.scorers import Scoring, WantedScorer, list_functions, list_scores
from briggs.client import (
    AsyncClient,
    ClientError,
    ConnectionLost,
    EvalAnswer,
    EvalRun,
    Refused,
    ServerUnreachable,
)
from briggs.client.connection import is_loopback
from briggs.types.evals import AnswerPlace

HERE = "ray"
"""The address of the cluster of this machine. Without one, Ray starts one for this command."""
_SCHEME = "ray://"
_PORT = 10001
_CONNECT_TIMEOUT_S = 5.0
_LOOKED_EVERY_S = 0.5
_DONE_AT_ONCE = 100
TASK_RETRIES_MAX = 10
"""So many times a task is begun again elsewhere, because its machine or its process died."""
ASK_TRIES_MAX = 12
_PAUSE_S_MAX = 15.0
_UNAVAILABLE = 503
_INSTALL = "each machine needs briggs, of this version: pip install 'briggs[ray]'"

T = TypeVar("T")


class _Workers(NamedTuple):
    """A cluster that a run is spread over."""

    ray: Any
    """The connected package."""
    urls: Sequence[str]
    """The servers of one record, as the machines reach them."""
    api_key: str | None
    at_once: int
    """How many answers each CPU waits for at the same time."""


class _Job(NamedTuple):
    """What the machines are told of a run."""

    run_id: str
    urls: Sequence[str]
    api_key: str | None
    functions: Mapping[str, Scoring]


class _Item(NamedTuple):
    """An answer that a machine is to get, and to score if there are functions."""

    place: AnswerPlace
    sample: Mapping[str, Any]


def set_defaults() -> None:
    """Set what Ray reads from the environment when it is imported, as a scorer may do."""
    # It would report to its makers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Under `uv run`, it would send this folder to the machines, and have them run uv there.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")


@contextmanager
def open_workers(
    address: str, urls: Sequence[str], *, api_key: str | None, at_once: int
) -> Iterator[Spreading]:
    """Connect to a cluster, to spread runs over it.

    The machines reach the servers at `urls`, and each CPU waits for `at_once` answers at the same
    time. Call `set_defaults` first. Raises `click.ClickException` if the cluster cannot be used.
    """
    address = _check_address(address)
    _check_urls(urls, address)
    if address != HERE:
        _check_port(address)
    ray = _import_ray()
    try:
        with warnings.catch_warnings(action="ignore"):
            ray.init(
                None if address == HERE else address, log_to_driver=False, logging_level="ERROR"
            )
    except Exception as error:
        raise click.ClickException(f"{address} cannot be used: {_first_line(error)}") from error
    try:
        workers = _Workers(ray, urls, api_key, at_once)
        yield partial(_spread_run, workers)
    finally:
        ray.shutdown()


async def _spread_run(
    workers: _Workers, client: AsyncClient, run: EvalRun, scorers: Sequence[WantedScorer]
) -> None:
    """Let a cluster ask and score what a run lacks, and wait for its end.

    Raises `click.ClickException` if the cluster cannot go on.
    """
    functions = list_functions(scorers)
    items = await _list_left(client, run, functions)
    stopped = threading.Event()
    watching = asyncio.create_task(watch_run(client, run))
    try:
        job = _Job(run.id, workers.urls, workers.api_key, functions)
        problem = await asyncio.to_thread(_spread, workers, job, items, stopped)
        if problem and (await client.eval_runs.retrieve(run.id)).status == "running":
            raise click.ClickException(f"{problem}\n{_say_how_to_go_on(run)}")
        try:
            await watching
        except (ConnectionLost, ServerUnreachable):
            # The machines were more patient with a server that was away.
            await watch_run(client, run)
    except asyncio.CancelledError:
        click.echo(f"\n{_say_how_to_go_on(run)}", err=True)
        raise
    finally:
        stopped.set()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def ask_items(job: _Job, items: Sequence[_Item], first: int) -> str:
    """Ask and score some items, on a machine of the cluster. Returns why that cannot be done.

    `first` is the place of the server that is asked first.
    """
    try:
        asyncio.run(_ask_items(job, items, first))
    except ClientError as error:
        return str(error)
    return ""


async def _list_left(
    client: AsyncClient, run: EvalRun, functions: Mapping[str, Scoring]
) -> list[_Item]:
    """What has no answer, or has no score of a function."""
    done: set[AnswerPlace] = set()
    async for answer in client.eval_runs.answers(run.id):
        known = {each.scorer for each in answer.scores if each.value is not None}
        is_scored = answer.text is None or functions.keys() <= known
        if answer.status == "failed" or (answer.status == "answered" and is_scored):
            done.add((answer.sample, answer.target, answer.repeat))
    samples = [sample async for sample in client.datasets.export(run.dataset_id)]
    items = []
    for number, sample in enumerate(samples[: run.samples]):
        shown = msgspec.to_builtins(sample) if functions else {}
        places = [
            (number, target, repeat) for repeat in range(run.repeats) for target in run.targets
        ]
        items += [_Item(place, shown) for place in places if place not in done]
    return items


def _spread(workers: _Workers, job: _Job, items: Sequence[_Item], stopped: threading.Event) -> str:
    """Give the items to the cluster, and wait. Returns why it cannot go on, or nothing."""
    ray = workers.ray
    try:
        ask = ray.remote(num_cpus=1, max_retries=TASK_RETRIES_MAX)(ask_items)
        told = ray.put(job)
        left = [
            ask.remote(told, items[begin : begin + workers.at_once], number % len(job.urls))
            for number, begin in enumerate(range(0, len(items), workers.at_once))
        ]
        while left and not stopped.is_set():
            count = min(len(left), _DONE_AT_ONCE)
            done, left = ray.wait(left, num_returns=count, timeout=_LOOKED_EVERY_S)
            if problem := next(filter(None, ray.get(done)), ""):
                return str(problem)
    except Exception as error:
        return f"Ray failed: {_first_line(error)}"
    return ""


async def _ask_items(job: _Job, items: Sequence[_Item], first: int) -> None:
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(AsyncClient(url, job.api_key)) for url in job.urls
        ]
        clients = clients[first:] + clients[:first]
        samples = {each.place: each.sample for each in items}
        scores: list[dict[str, Any]] = []
        asking = [asyncio.create_task(_ask(clients, job, each.place)) for each in items]
        try:
            for next_answer in asyncio.as_completed(asking):
                answer = await next_answer
                place = (answer.sample, answer.target, answer.repeat)
                scores += list_scores(job.functions, answer, samples[place])
        finally:
            for each in asking:
                each.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        if scores:
            await _try_all(clients, lambda client: client.eval_runs.add_scores(job.run_id, scores))


async def _ask(clients: Sequence[AsyncClient], job: _Job, place: AnswerPlace) -> EvalAnswer:
    """An answer. Asked again, also elsewhere, it is the same: no target is asked twice."""
    sample, target, repeat = place
    return await _try_all(
        clients,
        lambda client: client.eval_runs.ask(
            job.run_id, sample=sample, target=target, repeat=repeat
        ),
    )


async def _try_all(
    clients: Sequence[AsyncClient], call: Callable[[AsyncClient], Awaitable[T]]
) -> T:
    """What the first of some servers answers that is not away. Waits if all of them are."""
    last = ASK_TRIES_MAX * len(clients) - 1
    for tries in range(last + 1):
        rounds, at = divmod(tries, len(clients))
        try:
            return await call(clients[at])
        except (ConnectionLost, ServerUnreachable):
            if tries == last:
                raise
        except Refused as error:
            if error.status != _UNAVAILABLE or tries == last:
                raise
        if at == len(clients) - 1:
            await asyncio.sleep(min(2.0**rounds, _PAUSE_S_MAX))
    raise AssertionError("the last try returns or raises")


def _import_ray() -> Any:
    try:
        import ray

        # What its client needs, which Ray itself would tell late.
        import grpc  # isort: skip # noqa: F401
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"--workers needs {error.name}. Install it with: pip install 'briggs[ray]'"
        ) from error
    return ray


def _check_address(address: str) -> str:
    """`ray`, or `ray://HOST:PORT` with its port. Raises `click.UsageError`."""
    if address == HERE:
        return address
    try:
        parts = urlsplit(address)
        is_right = address.startswith(_SCHEME) and parts.hostname and parts.port != 0
    except ValueError:
        is_right = False
    if not is_right:
        raise click.UsageError(
            f"--workers: {address!r} is no cluster: write {_SCHEME}HOST:PORT, or {HERE} for the "
            "one of this machine"
        )
    return address if parts.port else f"{address.rstrip('/')}:{_PORT}"


def _check_urls(urls: Sequence[str], address: str) -> None:
    """A cluster elsewhere cannot reach what only this machine can."""
    near = [url for url in urls if is_loopback(url)]
    if address != HERE and near and not is_loopback(address.replace(_SCHEME, "http://", 1)):
        raise click.UsageError(
            f"the machines of {address} cannot reach {near[0]}: say how they reach the server, "
            "with --workers-url http://HOST:PORT"
        )


def _check_port(address: str) -> None:
    """Ray itself would try for half a minute, and say less."""
    parts = urlsplit(address)
    try:
        socket.create_connection(
            (parts.hostname or "", parts.port or 0), _CONNECT_TIMEOUT_S
        ).close()
    except OSError as error:
        raise click.ClickException(
            f"nothing answers at {address} ({error.strerror or error}): check the address, and "
            f"start the cluster with `ray start --head --ray-client-server-port={parts.port}`"
        ) from error


def _say_how_to_go_on(run: EvalRun) -> str:
    return (
        f"The run {run.id} is not finished. The same command goes on with it. In 2 minutes the "
        f"server asks the rest by itself, unless you stop it: briggs evals cancel {run.id}"
    )


def _first_line(error: Exception) -> str:
    """What an error of Ray says, without the tracebacks that come with it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = re.sub(r"\x1b\[[0-9;]*m", "", lines[-1] if lines else "")
    hint = f": {_INSTALL}" if "No module named 'briggs" in said else ""
    return f"{type(error).__name__}: {said[:500]}{hint}"
