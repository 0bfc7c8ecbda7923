"""The child process that runs one GGUF file: llama.cpp's server on loopback, behind a key.

Its parent writes one line of JSON to its standard input and reads one line, the address, from
its standard output. It ends when its standard input does, so that it cannot outlive its parent,
however that one ends.
"""

from __future__ import annotations

import os
import sys

import msgspec


class Order(msgspec.Struct, kw_only=True):
    """What the parent wants."""

    model: str
    path: str
    key: str
    context_tokens: int | None
    parallel: int
    threads: int | None
    chat_template: str | None = None


def main() -> None:
    """Serve until the parent is gone."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
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
    # Where a caller does not say how to sample, the specification's defaults hold.
    parameters.sampling.temp = 1.0
    parameters.sampling.top_p = 1.0
    parameters.sampling.top_k = 0
    parameters.sampling.min_p = 0.0
    # The cache of prompts is what makes llama-server grow, 160 KiB a call, and what was
    # computed for another prompt may change the last digits of this one's probabilities.
    parameters.cache_prompt = False
    parameters.cache_ram_mib = 0
    parameters.ui = False
    parameters.endpoint_slots = False
    parameters.warmup = False
    parameters.verbosity = -1
    server = xllamacpp.Server(parameters)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()
    # llama.cpp's threads may be in the middle of an answer that nobody reads any more.
    os._exit(0)


if __name__ == "__main__":
    main()
