"""Runs coroutines for blocking callers, on an event loop in a background thread."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self, TypeVar

from briggs.client.chat import ChatCompletionStream as AsyncStream
from briggs.client.connection import ServerConnection
from briggs.types.chunk import CreateChatCompletionStreamResponse

T = TypeVar("T")

_END: Any = object()


class Runner:
    """An event loop in a thread. The first call starts it, also in a forked process.

    So the caller may run an event loop too, and threads may share one client.
    """

    def __init__(self) -> None:
        self._pid = 0
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        """Run a call and wait for it. If the caller is interrupted, the call is cancelled."""
        future = asyncio.run_coroutine_threadsafe(call, self._start())
        try:
            return future.result()
        finally:
            future.cancel()

    def iterate(self, items: AsyncIterator[T]) -> Iterator[T]:
        """Yield the items one by one. Each is awaited when the caller asks for it."""
        try:
            while (item := self.run(_take(items))) is not _END:
                yield item
        finally:
            self.run(_close(items))

    def close(self, connection: ServerConnection) -> None:
        """Close the connection and end the thread. A later call would start a new one."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None or self._pid != os.getpid():
            return
        closing = asyncio.run_coroutine_threadsafe(connection.close(), loop)
        if thread is threading.current_thread():
            # The garbage collector called this from the thread itself, which cannot wait for
            # itself.
            closing.add_done_callback(lambda _: loop.stop())
            return
        closing.result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    def _start(self) -> asyncio.AbstractEventLoop:
        if self._pid != os.getpid():
            # We were forked: the thread stayed in the parent, and the lock may be held there.
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
    """The chunks of an answer. Read them with `for`; leaving `with` hangs up.

    It raises the same errors as the stream of an `AsyncClient`.
    """

    def __init__(self, stream: AsyncStream, runner: Runner) -> None:
        self.completion_id = stream.completion_id
        """Briggs's id of this call. Use it to retrieve the completion."""
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
        """Hang up. If the answer has not ended, the server records the call as failed."""
        self._runner.run(self._stream.close())


def open_loop() -> asyncio.AbstractEventLoop:
    """An event loop that starts no threads. Python forbids new threads while a program ends."""
    loop = asyncio.new_event_loop()
    loop.set_default_executor(_Here())
    return loop


class _Here(ThreadPoolExecutor):
    """Runs work at once instead of in a thread. The loop uses it to look up addresses."""

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
    # Only generators can be closed. Other iterators hold nothing open.
    close = getattr(items, "aclose", None)
    if close is not None:
        await close()
