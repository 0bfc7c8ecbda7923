"""Reads a call and sends its answer, for the routes that do not use Starlette."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from briggs.api.answers import refuse_body
from briggs.api.encodings import decompress
from briggs.gateway.callers import OnHangUp
from briggs.gateway.calls import too_large
from briggs.transport.callers.cycle import Cycle
from briggs.transport.callers.heads import Header
from briggs.transport.errors import TransportError
from briggs.types.completions import Completion
from briggs.types.errors import BriggsError, HangUp
from briggs.wires.base import Face

_SHOWN_MAX = 1000
_JSON: Header = (b"content-type", b"application/json")
_UNBUFFERED: tuple[Header, ...] = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))


class Exchange:
    """Reads one request and sends one answer, and notices when the caller is gone."""

    def __init__(self, cycle: Cycle, *, completion: Completion, face: Face) -> None:
        self._cycle = cycle
        self._completion = completion
        self._face = face
        self.headers: Mapping[str, str] = {}
        self.is_admitted = False
        """Whether the caller has sent a key that may call."""
        self.hung_up = False
        """Whether the caller closed the connection before the answer was whole."""

    async def read_body(self, *, bytes_max: int) -> bytes:
        """Read the whole body. Raises `InvalidRequest`, `RequestTimeout`, `HangUp`."""
        cycle = self._cycle
        if not cycle.is_whole and _is_longer(cycle.fields.get(b"content-length", b""), bytes_max):
            raise too_large(bytes_max)
        pieces: list[bytes] = []
        size = 0
        while True:
            is_whole = cycle.is_whole
            pieces.append(cycle.take())
            size += len(pieces[-1])
            if size > bytes_max:
                raise too_large(bytes_max)
            if is_whole:
                body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
                encoding = cycle.fields.get(b"content-encoding")
                if encoding is None:
                    return body
                return await decompress(body, encoding=encoding, bytes_max=bytes_max)
            try:
                await cycle.wait()
            except TransportError as error:
                raise refuse_body(error) from error
            if cycle.is_left:
                self.hung_up = True
                raise HangUp

    def watch(self, on_hang_up: OnHangUp) -> None:
        """From now on, if the caller hangs up, cancel the call unless `on_hang_up` says no."""
        self._on_hang_up = on_hang_up
        self._cycle.watch(self._hang_up)

    def answer(self, body: bytes) -> None:
        """Send a whole answer."""
        length = (b"content-length", b"%d" % len(body))
        self._cycle.answer(200, [_JSON, length, *self._identify()], body)

    def send_error(self, error: BriggsError) -> None:
        """Send an error: as a response of its own, or as the last frame of a stream."""
        cycle = self._cycle
        body = self._face.write_error(error, id=self._completion.id, streamed=cycle.is_begun)
        if cycle.is_begun:
            cycle.write(body)
            cycle.finish()
        elif not self.hung_up:
            headers = [_JSON, (b"content-length", b"%d" % len(body)), *self._identify()]
            headers += _encode(error.headers)
            cycle.answer(error.http_status, headers, body)

    def send(self, frames: bytes) -> bool:
        """Send frames of a stream. Returns False if the next ones should wait for `drain`."""
        cycle = self._cycle
        if cycle.is_begun:
            return cycle.write(frames)
        content_type: Header = (b"content-type", self._face.stream_type)
        cycle.begin(200, [content_type, *_UNBUFFERED, *self._identify()], frames)
        return True

    async def drain(self) -> None:
        """Wait until the caller has read most of what was sent."""
        await self._cycle.drain()

    def finish(self) -> None:
        """End a stream."""
        self._cycle.finish()

    def _identify(self) -> list[Header]:
        id = self._completion.id.encode()
        headers = [(b"x-briggs-completion-id", id), *[(it, id) for it in self._face.id_headers]]
        if self._completion.dropped:
            headers.append((b"x-briggs-dropped", _show(self._completion.dropped)))
        if self._completion.attempts and (mended := self._completion.attempts[-1].mended):
            places = dict.fromkeys(mend.partition(":")[0] for mend in mended)
            headers.append((b"x-briggs-mended", ", ".join(places).encode()))
        if self.headers:
            headers += _encode(self.headers)
        return headers

    def _hang_up(self) -> bool:
        """Note that the caller hung up. Returns whether the call continues without a caller."""
        self.hung_up = True
        assert self._cycle.task is not None, "only a request that is being answered is watched"
        return self._on_hang_up(self._cycle.task)


def _encode(headers: Mapping[str, str]) -> list[Header]:
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]


def _show(names: Iterable[str]) -> bytes:
    """Names in a header. A caller may have made them up, so they can be anything."""
    shown = ", ".join(names)[:_SHOWN_MAX]
    return "".join(it if it.isascii() and it.isprintable() else "?" for it in shown).encode()


def _is_longer(length: bytes, bytes_max: int) -> bool:
    """Whether a `content-length` is above the limit. It may have any number of leading zeros."""
    digits = length.lstrip(b"0")
    # The parser lets no more than 64 bits through. The limit is far below 19 digits.
    return digits.isdigit() and (len(digits) > 19 or int(digits) > bytes_max)
