"""Runs coroutines for callers who wait: in a thread that has an event loop for them."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self, TypeVar

from briggs.client.chat import ChatCompletionStream as AsyncStream
from briggs.client.connection import Connection
from briggs.types.chunk import CreateChatCompletionStreamResponse

T = TypeVar("T")

_END: Any = object()


class Runner:
    """An event loop in a thread, started by the first call, and again in a forked process.

    So a caller may have a running loop of his own, and many threads may share one client.
    """

    def __init__(self) -> None:
        self._pid = 0
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        """Wait for a call. Whoever is interrupted meanwhile cancels it."""
        future = asyncio.run_coroutine_threadsafe(call, self._start())
        try:
            return future.result()
        finally:
            future.cancel()

    def iterate(self, items: AsyncIterator[T]) -> Iterator[T]:
        """The items one by one, each waited for when it is asked for."""
        try:
            while (item := self.run(_take(items))) is not _END:
                yield item
        finally:
            self.run(_close(items))

    def close(self, connection: Connection) -> None:
        """Close the connection and end the thread; a later call would start another."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None or self._pid != os.getpid():
            return
        closing = asyncio.run_coroutine_threadsafe(connection.close(), loop)
        if thread is threading.current_thread():
            # The garbage collector called from within; nobody may wait for himself.
            closing.add_done_callback(lambda _: loop.stop())
            return
        closing.result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    def _start(self) -> asyncio.AbstractEventLoop:
        if self._pid != os.getpid():
            # The thread stayed with the parent, and another one may have held the lock.
            self._pid, self._lock, self._loop = os.getpid(), threading.Lock(), None
        with self._lock:
            if self._loop is None:
                self._loop = open_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="briggs-client", daemon=True
                )
                self._thread.start()
            return self._loop


class ChatCompletionStream:
    """The chunks of an answer as they arrive, by `for`; leaving `with` hangs up.

    It raises what the stream of an `AsyncClient` raises.
    """

    def __init__(self, stream: AsyncStream, runner: Runner) -> None:
        self.completion_id = stream.completion_id
        """Our id of this call, under which it can be retrieved."""
        self._stream = stream
        self._runner = runner
        self._chunks = runner.iterate(aiter(stream))

    def __iter__(self) -> Iterator[CreateChatCompletionStreamResponse]:
        return self._chunks

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up, if the answer is not at its end; the server then records it as failed."""
        self._runner.run(self._stream.close())


def open_loop() -> asyncio.AbstractEventLoop:
    """An event loop that starts no threads, which nobody may do while a program ends."""
    loop = asyncio.new_event_loop()
    loop.set_default_executor(_Here())
    return loop


class _Here(ThreadPoolExecutor):
    """Does on the spot what a loop would give to a thread, which is to look up addresses."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(function(*args, **kwargs))
        except Exception as error:
            done.set_exception(error)
        return done


async def _take(items: AsyncIterator[T]) -> T:
    return await anext(items, _END)


async def _close(items: AsyncIterator[Any]) -> None:
    # Only what was written with `yield` can be closed; other iterators have nothing open.
    close = getattr(items, "aclose", None)
    if close is not None:
        await close()
