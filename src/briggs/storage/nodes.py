"""The nodes of a database: the processes that answer, and that record in it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from sqlalchemy import Connection

from briggs.storage import allowances, records
from briggs.storage.access import Access
from briggs.storage.database import NodeMessage, NodeState, OwnNode, database_of
from briggs.types.completions import create_id
from briggs.types.peers import Handler

logger = logging.getLogger("briggs")

LOOKED_EVERY_S = 2.0
CLEANED_EVERY_S = 60.0

ANSWERED_WITHIN_S = 3.0
"""How long a node may take to answer another one."""


class _Letter(msgspec.Struct, frozen=True, array_like=True):
    """What a node says to all others."""

    kind: Literal["tell", "ask", "answer", "nothing"]
    """A node that has nothing to answer says so, so that nobody waits for it."""
    number: str
    """Of a question, which its answers repeat."""
    topic: str
    body: bytes


class _Question:
    """A question, until all nodes have answered."""

    def __init__(self, missing: set[str]) -> None:
        self.missing = missing
        self.answers: list[bytes] = []
        self.is_answered = asyncio.Event()


class Nodes:
    """`store.nodes`: the other nodes as one of them sees them, which are its `Peers`.

    Belongs to the event loop that has opened the store.
    """

    def __init__(self, member: OwnNode, *, access: Access, loop: asyncio.AbstractEventLoop) -> None:
        self.allowances = allowances.Allowances(access, member=member)
        """What this node may use of limits."""
        self._member = member
        self._loop = loop
        self._handlers: dict[str, Handler] = {}
        self._questions: dict[str, _Question] = {}
        member.listen(self._hear)

    @property
    def id(self) -> str:
        """The name of this node."""
        return self._member.id

    @property
    def is_keeper(self) -> bool:
        """Whether this node does what only one of them does."""
        return self._member.is_keeper

    @property
    def term(self) -> int:
        """The number of the term in which this node is the keeper. 0 if it is not."""
        return self._member.term

    @property
    def lapses(self) -> int:
        """How often others may have taken this node for dead. They may then use what it had."""
        return self._member.lapses + self._member.was_frozen

    def list(self) -> Sequence[NodeState]:
        """The nodes that live, and those that ended within the last hour, the oldest first."""
        return self._member.nodes

    def describe(self) -> Mapping[str, Mapping[str, int | str]]:
        """What `/health` tells of all of them."""
        nodes = self.list()
        lost = [each for each in nodes if not each.is_alive and not each.has_left]
        return {
            "nodes": {
                "id": self._member.id,
                "alive": sum(each.is_alive for each in nodes),
                "lost": len(lost),
                "keeper": next((each.id for each in nodes if each.is_keeper), ""),
                "messages": "notified" if self._member.is_woken else "polled",
            }
        }

    def handle(self, topic: str, handler: Handler) -> None:
        self._handlers[topic] = handler

    def tell(self, topic: str, message: bytes = b"") -> None:
        self._say(_Letter("tell", "", topic, message))

    async def ask(self, topic: str, question: bytes = b"") -> Sequence[bytes]:
        others = {each.id for each in self.list() if each.is_alive} - {self.id}
        number, asked = create_id(), _Question(others)
        self._questions[number] = asked
        self._say(_Letter("ask", number, topic, question))
        try:
            if others:
                await asyncio.wait_for(asked.is_answered.wait(), ANSWERED_WITHIN_S)
        except TimeoutError:
            logger.warning("%d nodes did not answer in time", len(asked.missing))
        finally:
            del self._questions[number]
        return asked.answers

    def _say(self, letter: _Letter) -> None:
        self._member.say(_ENCODER.encode(letter))

    def _hear(self, messages: Sequence[NodeMessage]) -> None:
        # The loop may be closed already.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._read, messages)

    def _read(self, messages: Sequence[NodeMessage]) -> None:
        for sender_id, content in messages:
            try:
                self._take(sender_id, _DECODER.decode(content))
            except Exception:
                logger.exception("A message of another node could not be read")

    def _take(self, sender_id: str, letter: _Letter) -> None:
        if letter.kind in ("answer", "nothing"):
            asked = self._questions.get(letter.number)
            if asked is not None and sender_id in asked.missing:
                asked.missing.discard(sender_id)
                if letter.kind == "answer":
                    asked.answers.append(letter.body)
                if not asked.missing:
                    asked.is_answered.set()
            return
        handler = self._handlers.get(letter.topic)
        answer = None if handler is None else handler(letter.body)
        if letter.kind == "ask":
            kind: Literal["answer", "nothing"] = "nothing" if answer is None else "answer"
            self._say(_Letter(kind, letter.number, letter.topic, answer or b""))


class Remains:
    """Fails the calls that nodes have left when they died, and forgets what they had borrowed.
    Belongs to the writer's thread.
    """

    waits = False
    """It is not worth a moment of its own."""

    def __init__(self, connection: Connection, *, member: OwnNode) -> None:
        self._connection = connection
        self._member = member
        self._look_at = self._clean_at = 0.0

    def go_on(self, *, idle: bool) -> bool:
        """Look every few seconds. Returns whether there were any."""
        now = time.monotonic()
        if now < self._look_at:
            return False
        self._look_at = now + LOOKED_EVERY_S
        if now >= self._clean_at:
            self._clean_at = now + CLEANED_EVERY_S
            with database_of(self._connection).transaction(self._connection):
                allowances.forget_old(self._connection, member=self._member)
        if not records.has_left(self._connection):
            return False
        with database_of(self._connection).transaction(self._connection):
            return records.fail_left(self._connection) > 0


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Letter)
