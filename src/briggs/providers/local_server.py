"""The child process that runs one GGUF file: llama.cpp's server on loopback, with a key.

The parent writes one line of JSON to standard input, and reads one line, the address, from
standard output. The child ends when its standard input closes. So it cannot outlive its parent,
however the parent ends.
"""

from __future__ import annotations

import os
import sys

import msgspec

_BATCH_TOKENS = 8192


class ChildOrder(msgspec.Struct, kw_only=True, frozen=True):
    """What the parent orders."""

    model: str
    path: str
    key: str = ""
    """Chosen when it starts."""
    context_tokens: int | None
    parallel: int
    threads: int | None
    chat_template: str | None = None
    embeds: bool = False
    """Whether it is for embeddings."""
    pooling: str | None = None
    """Default: as the file says."""


def main() -> None:
    """Serve until the parent is gone."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=ChildOrder)
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = order.path
    parameters.model_alias = {order.model}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.api_keys = [order.key]
    parameters.n_parallel = order.parallel
    parameters.n_ctx = (order.context_tokens or 0) * order.parallel
    if order.threads is not None:
        parameters.cpuparams.n_threads = order.threads
        parameters.cpuparams_batch.n_threads = order.threads
    if order.chat_template is not None:
        parameters.chat_template = order.chat_template
    if order.embeds:
        parameters.embedding = True
        # A text must fit into one batch.
        parameters.n_batch = parameters.n_ubatch = order.context_tokens or _BATCH_TOKENS
        if order.pooling is not None:
            name = f"LLAMA_POOLING_TYPE_{order.pooling.upper()}"
            parameters.pooling_type = getattr(xllamacpp.llama_pooling_type, name)
    # The specification's defaults, for callers who set no sampling parameters.
    parameters.sampling.temp = 1.0
    parameters.sampling.top_p = 1.0
    parameters.sampling.top_k = 0
    parameters.sampling.min_p = 0.0
    # No cache of prompts: it makes llama-server grow by 160 KiB per call, and results that were
    # computed for one prompt may change the last digits of another's probabilities.
    parameters.cache_prompt = False
    parameters.cache_ram_mib = 0
    parameters.ui = False
    parameters.endpoint_slots = False
    # Its answer comes from the loop that computes, so it shows whether that loop still turns.
    parameters.endpoint_metrics = True
    parameters.warmup = False
    parameters.verbosity = -1
    server = xllamacpp.Server(parameters)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()
    # Do not wait for llama.cpp's threads: their answers have no reader any more.
    os._exit(0)


if __name__ == "__main__":
    main()
