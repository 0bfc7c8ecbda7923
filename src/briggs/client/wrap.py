"""`briggs.wrap(client)`: records the calls of an OpenAI or Anthropic client.

The client itself does not change. We record what its HTTP client sends and receives. So tools,
streams, parsing and raw responses work as before.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import logging
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from types import FrameType
from typing import Any, ParamSpec, TypeVar

import msgspec

from briggs.client.errors import InvalidArgument
from briggs.client.log import current_log
from briggs.client.marks import current_session, current_tags, join_tags
from briggs.client.records import CallRecord, read_error
from briggs.transport.decoding import create_decoder
from briggs.transport.upstream.client import ANSWER_BYTES_MAX
from briggs.wires.recorded.stream import Speaks, find_kind, recognise

Client = TypeVar("Client")
P = ParamSpec("P")

FRAMES_MAX = 20

_BETWEEN = frozenset({"anthropic", "asyncio", "briggs", "httpx", "httpx2", "openai", "runpy"})
_LEFT = "The program left the stream before its end."

logger = logging.getLogger("briggs")


def wrap(client: Client, *, tags: Sequence[str] = ()) -> Client:
    """Record the calls of this client and of its copies. Returns the same object.

    Chat completions, responses, text completions and embeddings are recorded, embeddings without
    vectors.

    Accepts sync and async clients of the packages `openai` (1 to 3) and `anthropic`. If a call
    goes to a Briggs server, that server records it, so only the tags and the session are added.
    Wrapping twice has no further effect.
    """
    http = getattr(client, "_client", None)
    if http is None or not hasattr(http, "send") or not hasattr(http, "build_request"):
        raise InvalidArgument(
            f"cannot wrap a {type(client).__name__}: pass a sync or async client of OpenAI or "
            "Anthropic. For others, call briggs.log(request, response)"
        )
    if not hasattr(http.send, "_recorded_by_briggs"):
        record = _record_async if inspect.iscoroutinefunction(http.send) else _record_sync
        http.send = record(http.send, tuple(tags))
        http.send._recorded_by_briggs = True
    for name in ("copy", "with_options"):
        _wrap_copies(client, name, tuple(tags))
    current_log().sender.wake()
    return client


def _wrap_copies(client: Any, name: str, tags: tuple[str, ...]) -> None:
    """Record the copies of a client too, because a copy may get a new HTTP client."""
    copy = getattr(client, name, None)
    if copy is None or hasattr(copy, "_recorded_by_briggs"):
        return

    @functools.wraps(copy)
    def copied(*args: Any, **options: Any) -> Any:
        return wrap(copy(*args, **options), tags=tags)

    copied._recorded_by_briggs = True  # type: ignore[attr-defined]
    setattr(client, name, copied)


def _record_sync(send: Callable[..., Any], tags: tuple[str, ...]) -> Any:
    @functools.wraps(send)
    def recorded(request: Any, **options: Any) -> Any:
        if (call := _open_call(request, tags)) is None:
            return send(request, **options)
        with call.failing():
            response = send(request, **options)
        call.begin(response, **options)
        return response

    return recorded


def _record_async(send: Callable[..., Any], tags: tuple[str, ...]) -> Any:
    @functools.wraps(send)
    async def recorded(request: Any, **options: Any) -> Any:
        if (call := _open_call(request, tags)) is None:
            return await send(request, **options)
        with call.failing():
            response = await send(request, **options)
        call.begin(response, **options)
        return response

    return recorded


def _harmless(method: Callable[P, None]) -> Callable[P, None]:
    """Log errors of the recording instead of raising them, so that the program continues."""

    @functools.wraps(method)
    def tried(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(*args, **kwargs)
        except Exception:
            logger.warning("A call is not recorded.", exc_info=True)

    return tried


def _open_call(request: Any, tags: tuple[str, ...]) -> _Call | None:
    """Start recording a request. None if it is one that is not recorded."""
    if request.method != "POST":
        return None
    speaks = recognise(request.url.path, request.headers)
    return None if speaks is None else _Call(request, speaks, tags)


class _Call:
    """One call, from its request to the end of its answer."""

    def __init__(self, request: Any, speaks: Speaks, tags: tuple[str, ...]) -> None:
        self._log = current_log()
        self._started_at = time.perf_counter()
        self._session = current_session()
        self._decode: Callable[[bytes], bytes] = bytes
        self._pieces: list[bytes] = []
        self._bytes_kept = 0
        self._is_reading = False
        self._is_settled = False
        self._record = CallRecord(
            speaks=speaks,
            kind=find_kind(request.url.path),
            request=b"",
            tags=list(join_tags(current_tags(), tags)),
            session_id=self._session.id if self._session else None,
        )
        self._open(request)

    @_harmless
    def _open(self, request: Any) -> None:
        self._record.request = request.content
        self._record.stacktrace = _read_stack()
        if str(request.url).startswith(f"{self._log.url}/"):
            if self._record.tags:
                request.headers.setdefault("x-briggs-tags", ",".join(self._record.tags))
            if self._record.session_id:
                request.headers.setdefault("x-briggs-session", self._record.session_id)

    @_harmless
    def begin(self, response: Any, *, stream: bool = False, **options: Any) -> None:
        """Record a response: its whole body, or from now on its stream."""
        if id := response.headers.get("x-briggs-completion-id"):
            # A Briggs server answered, and has recorded the call.
            self._is_settled = True
            if self._session:
                self._session.note(id, server_url=self._log.url)
            return
        self._record.is_stream = "event-stream" in response.headers.get("content-type", "")
        if response.status_code >= 400:
            self._record.status = "failed"
            self._record.failure_kind = f"upstream_{response.status_code}"
        if not stream:
            self._settle(response.content)
            return
        if response.headers.get("content-encoding"):
            self._decode = functools.partial(_decode, response)
        if _is_async(response):
            response.aiter_raw = self._listen_async(response.aiter_raw)
            response.aclose = self._leave_async(response.aclose)
        else:
            response.iter_raw = self._listen(response.iter_raw)
            response.close = self._leave(response.close)
        if self._record.status != "failed":
            # This remains if the program is killed while it reads.
            begun = msgspec.structs.replace(self._record, status="started")
            self._log.put(begun, session=self._session)

    @contextlib.contextmanager
    def failing(self) -> Iterator[None]:
        """If the block raises, record the call as failed."""
        try:
            yield
        except BaseException as error:
            self._fail(error)
            raise

    @contextlib.contextmanager
    def _hearing(self) -> Iterator[None]:
        """Around the reading of the body. Its end, or an error, ends the call."""
        with self.failing():
            self._is_reading = True
            yield
        self._settle(b"".join(self._pieces))

    def _listen(self, iter_raw: Callable[..., Iterator[bytes]]) -> Callable[..., Iterator[bytes]]:
        def listened(chunk_size: int | None = None) -> Iterator[bytes]:
            with self._hearing():
                for piece in iter_raw(chunk_size):
                    self._hear(piece)
                    yield piece
                    self._is_reading = True

        return listened

    def _listen_async(
        self, aiter_raw: Callable[..., AsyncIterator[bytes]]
    ) -> Callable[..., AsyncIterator[bytes]]:
        async def listened(chunk_size: int | None = None) -> AsyncIterator[bytes]:
            with self._hearing():
                async for piece in aiter_raw(chunk_size):
                    self._hear(piece)
                    yield piece
                    self._is_reading = True

        return listened

    def _hear(self, piece: bytes) -> None:
        """Keep a piece before the program gets it."""
        self._bytes_kept += len(piece)
        if self._bytes_kept <= ANSWER_BYTES_MAX:
            self._pieces.append(piece)
        self._is_reading = False

    def _leave(self, close: Callable[[], None]) -> Callable[[], None]:
        def closed() -> None:
            close()
            self._note_leaving()

        return closed

    def _leave_async(self, aclose: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def closed() -> None:
            await aclose()
            self._note_leaving()

        return closed

    def _note_leaving(self) -> None:
        # While a piece is being read, this is the normal close at the end of the body.
        if not self._is_reading:
            self._fail(GeneratorExit())

    @_harmless
    def _fail(self, error: BaseException) -> None:
        """Record a failure: no answer, a partial answer, or a program that left."""
        left = isinstance(error, GeneratorExit | asyncio.CancelledError | KeyboardInterrupt)
        self._record.status = "failed"
        self._record.failure_kind = "hang_up" if left else type(error).__name__
        self._record.failure_reason = _LEFT if left else str(error)
        self._settle(b"".join(self._pieces))

    @_harmless
    def _settle(self, body: bytes) -> None:
        if self._is_settled:
            return
        self._is_settled = True
        record = self._record
        record.received = self._decode(body)
        record.duration_ms = (time.perf_counter() - self._started_at) * 1000
        if record.status == "failed" and record.failure_reason is None:
            record.failure_reason = read_error(record.received)
        self._log.put(record, session=self._session)


def _is_async(response: Any) -> bool:
    """Whether the body comes from an asynchronous client."""
    return hasattr(response.stream, "__aiter__") and not hasattr(response.stream, "__iter__")


def _decode(response: Any, body: bytes) -> bytes:
    """Decompress a body, up to the size limit."""
    try:
        decoder = create_decoder(response.headers["content-encoding"])
    except ValueError:
        decoder = None
    if decoder is not None:
        pieces, size = [], 0
        for piece in decoder.decode(body):
            size += len(piece)
            if size > ANSWER_BYTES_MAX:
                break
            pieces.append(piece)
        return b"".join(pieces)
    # The HTTP client asked for this encoding, so it can decode it.
    return bytes(type(response)(200, headers=response.headers, content=body).content)


def _read_stack() -> list[dict[str, Any]]:
    """The stack of the call, outermost frame first, without the frames of client packages."""
    frames: list[dict[str, Any]] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and len(frames) < FRAMES_MAX:
        if frame.f_globals.get("__name__", "").partition(".")[0] not in _BETWEEN:
            code = frame.f_code
            frames.append(
                {
                    "file": code.co_filename,
                    "line": "",
                    "lineno": frame.f_lineno,
                    "name": code.co_name,
                }
            )
        frame = frame.f_back
    return frames[::-1]
