"""Runs GGUF files on this machine, each in a child process that acts as an upstream."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import importlib.resources
import importlib.util
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from briggs.providers.base import Answer, Stream, Take
from briggs.providers.http import HttpProvider, require_chat, use_ability
from briggs.providers.local_children import Child, ChildPlan, Children
from briggs.providers.local_models import (
    BUILT_IN,
    find_pooling,
    find_template,
    name_build,
    read_own_template,
)
from briggs.providers.local_server import ChildOrder
from briggs.settings import LocalModelSettings, LocalSettings, read_local_model
from briggs.transport import Transport
from briggs.types.envelope import Envelope
from briggs.types.errors import (
    ModelNotFound,
    ProviderNotReady,
    UnsupportedParameter,
    UpstreamError,
)
from briggs.wires.base import CHAT, Prepared
from briggs.wires.llama.abilities import open_abilities
from briggs.wires.llama.request import (
    require_counts,
    require_slots,
    require_text,
    require_tools,
    translate,
)
from briggs.wires.llama.wire import LocalWire
from briggs.wires.openai.wire import OpenAIWire

_WIRE = OpenAIWire()
_ABILITIES = {ability.format: ability for ability in open_abilities(_WIRE)}


class _Job(NamedTuple):
    """What a child process is for. Embeddings have one of their own, with other settings."""

    model: str
    embeds: bool = False


class LocalProvider:
    """The provider `local`. The first call to a model starts its process."""

    name = "local"
    is_configured = True
    base_url = None

    def __init__(self, settings: LocalSettings, *, source: Children, timeout_s: float) -> None:
        self._settings = settings
        self._source = source
        built_in = importlib.resources.files("briggs.providers") / f"{BUILT_IN}.gguf"
        listed = {name: read_local_model(one) for name, one in settings.models.items()}
        self._models = {BUILT_IN: LocalModelSettings(path=str(built_in)), **listed}
        self._transport = Transport(read_timeout_s=timeout_s, proxies=False)
        self._children: dict[_Job, _Child] = {}
        self._locks = {name: asyncio.Lock() for name in self._models}
        self._retiring: set[asyncio.Task[None]] = set()

    def prepare(self, envelope: Envelope, *, model: str) -> Prepared:
        if (original := envelope.original) is not None:
            if ability := _ABILITIES.get(original.format):
                return use_ability(ability, envelope, model=model, name=f"local/{model}")
            require_chat(original, name=f"local/{model}")
            if original.unsaid:
                raise UnsupportedParameter(
                    f"local/{model} cannot express {', '.join(map(repr, original.unsaid))}: leave "
                    "it out, or use another model.",
                    param=original.unsaid[0],
                )
        envelope, left_out = envelope.fit(format=CHAT, model=model)
        require_slots(envelope, name=f"local/{model}", parallel=self._settings.parallel)
        require_counts(envelope)
        require_text(envelope, name=f"local/{model}")
        if (envelope.names_tool or envelope.requires_tool) and model in self._models:
            require_tools(find_template(self._models[model]), name=f"local/{model}")
        body = _WIRE.encode(translate(envelope), model=model).body
        return Prepared(envelope, model, body, dropped=left_out, translated=True)

    async def complete(self, prepared: Prepared) -> Answer:
        job = _Job(prepared.model, prepared.ability == "embedding")
        child = await self._find_child(job)
        try:
            return await child.complete(prepared)
        except UpstreamError:
            if not await child.has_ended():
                raise
        # The process died. Another can answer the call from the start.
        child = await self._find_child(job)
        return await child.complete(prepared)

    async def stream(self, prepared: Prepared) -> Stream:
        job = _Job(prepared.model)
        child = await self._find_child(job)
        try:
            return await child.stream(prepared)
        except UpstreamError:
            if not await child.has_ended():
                raise
        child = await self._find_child(job)
        return await child.stream(prepared)

    async def list_models(self) -> list[dict[str, Any]]:
        return [{"id": name, "owned_by": "local"} for name in self._models]

    async def close(self) -> None:
        """Stop every child."""
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*(child.process.give_back() for child in self._children.values()))
        self._children.clear()
        await self._source.close()
        await self._transport.close()

    async def _find_child(self, job: _Job) -> _Child:
        """Return the process for a job. Raises `ModelNotFound`, or the error of its start."""
        if job.model not in self._models:
            raise _not_found(job.model, self._models)
        child = self._children.get(job)
        if child is not None and child.is_alive:
            return child
        async with self._locks[job.model]:
            child = self._children.get(job)
            if child is None or not child.is_alive:
                child = await self._start_child(job)
                self._children[job] = child
            return child

    async def _start_child(self, job: _Job) -> _Child:
        if importlib.util.find_spec("xllamacpp") is None:
            raise ProviderNotReady(
                "Local models need the package xllamacpp: pip install 'briggs[local]'."
            )
        plan, fingerprint = await self._plan(job)
        process = await self._source.start(plan)
        wire = LocalWire(name=f"local/{job.model}", fingerprint=fingerprint)
        upstream = HttpProvider(
            self.name,
            wire=wire,
            abilities=open_abilities(wire),
            base_url=f"{process.address}/v1",
            key_variable=None,
            key=process.key,
            transport=self._transport,
        )
        child = _Child(process, upstream)
        self._keep(self._watch(job, child))
        return child

    async def _plan(self, job: _Job) -> tuple[ChildPlan, str]:
        """What a job's process is started with, and the fingerprint of the model's build."""
        model = job.model
        listed = self._models[model]
        try:
            template = read_own_template(listed)
            fingerprint = await asyncio.to_thread(name_build, listed.path, template=template)
        except OSError as error:
            raise ProviderNotReady(
                f"local/{model} cannot be read: {error.filename}: {error.strerror}."
            ) from error
        order = ChildOrder(
            model=model,
            path=listed.path,
            chat_template=template,
            context_tokens=self._settings.context_tokens,
            parallel=self._settings.parallel,
            # More than one thread would only slow down a model this small.
            threads=self._settings.threads or (1 if model == BUILT_IN else None),
            embeds=job.embeds,
            pooling=find_pooling(listed) if job.embeds else None,
        )
        plan = ChildPlan(
            name=f"{model.replace('/', '-')}{'-embeddings' if job.embeds else ''}",
            order=order,
            memory_bytes_max=self._settings.memory_bytes_max,
            stall_timeout_s=self._settings.stall_timeout_s,
        )
        return plan, fingerprint

    async def _watch(self, job: _Job, child: _Child) -> None:
        """Give a child back that cannot be asked any more. The next call gets another."""
        await child.process.wait()
        if self._children.get(job) is child:
            del self._children[job]
        await child.retire()

    def _keep(self, coroutine: Any) -> None:
        task = asyncio.ensure_future(coroutine)
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)


def _not_found(model: str, known: Iterable[str]) -> ModelNotFound:
    known = list(known)
    close = difflib.get_close_matches(model, known, n=1)
    return ModelNotFound(
        f"There is no local model '{model}'"
        + (f"; did you mean 'local/{close[0]}'? " if close else ". ")
        + f"The local models are {', '.join(f'local/{name}' for name in known)}. "
        "To add GGUF files, list them in [local.models] of briggs.toml.",
        param="model",
    )


class _Child:
    """One model's process, and the provider that calls it."""

    def __init__(self, process: Child, upstream: HttpProvider) -> None:
        self.process = process
        self._upstream = upstream
        self._in_use = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def is_alive(self) -> bool:
        return self.process.is_alive

    async def has_ended(self) -> bool:
        return await self.process.has_ended()

    async def complete(self, prepared: Prepared) -> Answer:
        with self._counted():
            return await self._upstream.complete(prepared)

    async def stream(self, prepared: Prepared) -> Stream:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._counted())
            stream = await self._upstream.stream(prepared)
            return _ChildStream(stream, stack.pop_all())

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        self._in_use += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._in_use -= 1
            if self._in_use == 0:
                self._idle.set()

    async def retire(self) -> None:
        """Give it back when the last call that uses it has ended."""
        await self._idle.wait()
        await self.process.give_back()


class _ChildStream:
    """A stream of a child, which counts as in use until the stream is closed."""

    def __init__(self, stream: Stream, use: contextlib.ExitStack) -> None:
        self._stream = stream
        self._use = use

    async def read(self, take: Take) -> bool:
        return await self._stream.read(take)

    def close(self) -> None:
        self._stream.close()
        self._use.close()
