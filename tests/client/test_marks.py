"""Where tags and sessions apply, and where they do not."""

from __future__ import annotations

import asyncio
import threading

import pytest

import briggs
from briggs.client.marks import current_session, current_tags


def test_nested_tags_add_up() -> None:
    """An inner block has the tags of both blocks, each once. Afterwards there are none."""
    with briggs.tags("a", "b"), briggs.session(tags=["c", "a"]), briggs.tags("d"):
        assert current_tags() == ("a", "b", "c", "d")
    assert current_tags() == ()
    assert current_session() is None


def test_the_innermost_session_counts() -> None:
    """Calls within an inner session belong to it until it ends."""
    with briggs.session("outer") as outer, briggs.session("inner") as inner:
        assert current_session() is inner
        with briggs.tags("x"):
            assert current_session() is inner
    assert outer.id == "outer"


@briggs.tags("decorated")
def read_tags() -> tuple[str, ...]:
    return current_tags()


@briggs.tags("decorated")
async def read_tags_later(depth: int) -> tuple[str, ...]:
    await asyncio.sleep(0)
    return current_tags() if depth == 0 else await read_tags_later(depth - 1)


async def test_functions_can_be_tagged() -> None:
    """A decorated function has its tags while it runs, even if it is async or recursive."""
    assert read_tags() == ("decorated",)
    assert await read_tags_later(2) == ("decorated",)
    assert current_tags() == ()


async def test_blocks_may_be_asynchronous() -> None:
    """`async with` works like `with`, for tags and for sessions."""
    async with briggs.tags("a"), briggs.session(tags=["b"]) as session:
        assert (current_tags(), current_session()) == (("a", "b"), session)
    assert (current_tags(), current_session()) == ((), None)


async def test_tasks_keep_their_own() -> None:
    """Tasks that run at the same time do not see each other's tags or sessions."""
    arrived, barrier = [], asyncio.Barrier(3)

    async def tag(name: str) -> None:
        async with briggs.session(name, tags=[name]):
            await barrier.wait()
            session = current_session()
            arrived.append((name, current_tags(), session.id if session else None))
            await barrier.wait()

    with briggs.tags("all"):
        await asyncio.gather(*(tag(name) for name in ("a", "b", "c")))
        assert current_tags() == ("all",)
    assert sorted(arrived) == [(name, ("all", name), name) for name in ("a", "b", "c")]


def test_a_thread_starts_with_nothing() -> None:
    """A thread that is started within a block has neither its tags nor its session."""
    found: list[tuple[str, ...]] = []
    with briggs.session(tags=["a"]):
        thread = threading.Thread(target=lambda: found.append(current_tags()))
        thread.start()
        thread.join()
    assert found == [()]


def test_tags_are_texts() -> None:
    """A tag that is empty or not a string raises at once."""
    with pytest.raises(TypeError, match="tags must be non-empty strings"):
        briggs.tags("a", "")
    with pytest.raises(TypeError, match="tags must be non-empty strings"):
        briggs.tags(["a"])  # type: ignore[arg-type]
