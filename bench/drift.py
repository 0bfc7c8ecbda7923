"""Measures how surely drift is found, with the built-in model and changed copies of it.

    uv run python -m bench.drift [--write]

Each copy answers the probes through a real server. The model answers the same each time, so the
noise of a provider is added to its logprobs: 0.08 nats a call, and a mix of three machines whose
weights differ a little. Then windows of 24 rounds are compared, as a watch does. `--write` puts the
table into docs/drift.md.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from tests.processes import Server, run_server

from bench.tuning import BUILT_IN, Network, Tokenizer, read_shape, tune_file
from bench.weights import BLOCK, Q8_0, Tensor, read_gguf, read_weights, write_weights
from briggs.drift.looks import ALPHA, look
from briggs.drift.probes import PROBES, DriftAnswer, read_answer, write_probe
from briggs.drift.traffic import RepeatedCall, look_at_traffic
from briggs.estimates.changes import find_change
from briggs.providers.gguf import read_template
from briggs.types.drift import DriftRound, DriftWatch
from briggs.types.texts import count_of

PAGE = Path(__file__).parents[1] / "docs" / "drift.md"
BEGIN, END = "<!-- measured -->\n", "<!-- /measured -->"
NOISE = 0.08
WINDOW = 24
PAIRS = 50
SERIES, SERIES_ROUNDS = 20, 150
SYSTEM = "<|im_start|>system\nBe kind.<|im_end|>\n"


def requantise(data: bytearray, tensors: Sequence[Tensor], *, step: int) -> None:
    """Keep fewer levels of each weight: a coarser quantisation in the same form."""
    for levels in _list_levels(data, tensors):
        levels[:] = np.clip(np.round(levels / step) * step, -127, 127).astype(np.int8)


def shake(data: bytearray, tensors: Sequence[Tensor], *, share: float, seed: int) -> None:
    """Move weights a little at random, as rounding on another machine moves them."""
    chance = np.random.default_rng(seed)
    for levels in _list_levels(data, tensors):
        moved = levels + chance.normal(0, share * levels.std(), levels.shape)
        levels[:] = np.clip(np.round(moved), -127, 127).astype(np.int8)


def heat(data: bytearray, tensors: Sequence[Tensor], *, temperature: float) -> None:
    """Divide all logits by a temperature."""
    for each in tensors:
        if each.name == "output_norm.weight":
            norm = np.frombuffer(data, "<f4", each.values, each.begin)
            norm[:] = norm / temperature


def _list_levels(data: bytearray, tensors: Sequence[Tensor]) -> Iterator[np.ndarray]:
    """The 8-bit levels of each quantised tensor of a layer, in place."""
    for each in tensors:
        if each.type == Q8_0 and each.name.startswith("blk."):
            size = each.values // 32 * BLOCK
            blocks = np.frombuffer(data, np.int8, size, each.begin)
            yield blocks.reshape(-1, BLOCK)[:, 2:]


def create_models(folder: Path) -> str:
    """The original and its changed copies, as a part of `briggs.toml`."""
    original = read_gguf(BUILT_IN)
    for name, change in CHANGES.items():
        data = bytearray(original.data)
        change(data, original.tensors)
        (folder / f"{name}.gguf").write_bytes(data)
    write_weights(original, read_weights(original), folder / f"{WIDE}.gguf")
    tune_file(original, {steps: folder / f"{TUNED}-{steps}.gguf" for steps in STEPS})
    lines = [f'[local.models]\nmachine-1 = "{BUILT_IN}"\n']
    lines += [f'{path.stem} = "{path}"\n' for path in sorted(folder.glob("*.gguf"))]
    template = folder / "other.jinja"
    template.write_text(SYSTEM + (read_template(str(BUILT_IN)) or ""))
    lines.append(
        f'[local.models.{TEMPLATE}]\npath = "{BUILT_IN}"\nchat_template_file = "{template}"\n'
    )
    return "".join(lines)


CHANGES: Mapping[str, Callable[[bytearray, Sequence[Tensor]], None]] = {
    "machine-2": lambda data, tensors: shake(data, tensors, share=0.01, seed=2),
    "machine-3": lambda data, tensors: shake(data, tensors, share=0.01, seed=3),
    "quantised-127": lambda data, tensors: requantise(data, tensors, step=2),
    "quantised-31": lambda data, tensors: requantise(data, tensors, step=8),
    "quantised-15": lambda data, tensors: requantise(data, tensors, step=16),
    "moved-2": lambda data, tensors: shake(data, tensors, share=0.02, seed=11),
    "moved-5": lambda data, tensors: shake(data, tensors, share=0.05, seed=12),
    "warmer-2": lambda data, tensors: heat(data, tensors, temperature=1.02),
    "warmer-10": lambda data, tensors: heat(data, tensors, temperature=1.1),
}
TEMPLATE, WIDE, TUNED = "template", "wide", "tuned"
STEPS = (1, 2, 4, 8, 12)
"""Of the fine-tuned copies."""
MACHINES = ("machine-1", "machine-2", "machine-3")
TITLES = {
    "machine-1": "nothing: the same three machines",
    "machine-2": "the mix: one of the three machines alone",
    WIDE: "quantisation to 32 bits: the same weights, computed otherwise",
    "quantised-127": "quantisation to 127 levels",
    "quantised-31": "quantisation to 31 levels",
    "quantised-15": "quantisation to 15 levels",
    "moved-2": "weights moved at random by 2 % of their spread",
    "moved-5": "weights moved at random by 5 % of their spread",
    **{f"{TUNED}-{steps}": f"fine-tuned: {count_of(steps, 'step')}" for steps in STEPS},
    "warmer-2": "temperature 1.02",
    "warmer-10": "temperature 1.1",
    TEMPLATE: "a system message of two words in the template",
}


def ask(server: Server, model: str) -> list[DriftAnswer]:
    """The answers of a model to all probes."""
    found = []
    for probe in PROBES:
        body = write_probe(probe, target=f"local/{model}", evidence="logprobs")
        reply = server.send("POST", "/v1/chat/completions", body)
        answer = read_answer(reply.body)
        assert answer is not None and answer.logprobs, reply.body
        found.append(answer)
    return found


def check_network(answers: Sequence[DriftAnswer]) -> None:
    """What is fine-tuned is what llama.cpp computes: the same weights say the same."""
    file = read_gguf(BUILT_IN)
    weights, tokenizer = read_weights(file), Tokenizer(file)
    for probe, answer in zip(PROBES, answers, strict=True):
        logits, _ = Network(weights, read_shape(file), {}).read(tokenizer.read(probe, "").ids)
        likeliest = max(answer.logprobs.values())
        said = float(logits[-1].max() - np.log(np.exp(logits[-1]).sum()))
        assert abs(said - likeliest) < 0.02, (probe, said, likeliest)


class Provider:
    """Answers from machines at random, with noise."""

    def __init__(self, machines: Sequence[Sequence[float]], *, seed: int) -> None:
        self._machines = machines
        self._chance = random.Random(seed)

    def answer(self, count: int) -> list[list[float]]:
        """So many rounds of logprobs."""
        return [
            [
                self._chance.choice(self._machines)[probe] + self._chance.gauss(0, NOISE)
                for probe in range(len(PROBES))
            ]
            for _ in range(count)
        ]


def measure_power(before: Sequence[Sequence[float]], now: Sequence[Sequence[float]]) -> float:
    """The share of pairs of windows that a look takes for a change."""
    found = 0
    for seed in range(PAIRS):
        first = Provider(before, seed=2 * seed).answer(WINDOW)
        second = Provider(now, seed=2 * seed + 1).answer(WINDOW)
        change = find_change(first, second, seed=seed)
        assert change is not None
        found += change.p <= ALPHA
    return found / PAIRS


def count_alarms(machines: Sequence[Sequence[float]]) -> tuple[int, int]:
    """How many looks at an unchanged provider find a change, and how many looks there were."""
    looks = alarms = 0
    watch = DriftWatch(
        organization_id="default", target="m", window_rounds=WINDOW, evidence="logprobs"
    )
    for seed in range(SERIES):
        rounds = [
            DriftRound(
                organization_id="default",
                watch_id=watch.id,
                at=at * 600_000_000,
                logprobs=[*values],
                texts=[None] * len(PROBES),
                fingerprints=[],
                completion_ids=[],
                duration_ms=None,
                completion_tokens=None,
                failures=0,
            )
            for at, values in enumerate(Provider(machines, seed=seed).answer(SERIES_ROUNDS))
        ]
        begin = 0
        for end in range(1, SERIES_ROUNDS + 1):
            found = look(watch, rounds[begin:end])
            if found is None:
                continue
            looks += 1
            if found.change is not None:
                alarms += 1
                begin = end
    return alarms, looks


REQUESTS, CALLS_OF_EACH, LOOKED_EVERY = 10, 120, 8


def count_traffic_alarms(machines: Sequence[Sequence[float]]) -> tuple[int, int]:
    """As `count_alarms`, of calls that repeat ten requests, the most frequent six times as often
    as the least. They come in any order, with the machine of each moment in common.
    """
    looks = alarms = 0
    watch = DriftWatch(
        organization_id="default", target="m", source="traffic", window_rounds=WINDOW
    )
    weights = [1 + request / 2 for request in range(REQUESTS)]
    for seed in range(SERIES):
        chance = random.Random(seed)
        calls: list[RepeatedCall] = []
        for at in range(REQUESTS * CALLS_OF_EACH):
            [request] = chance.choices(range(REQUESTS), weights)
            # A machine answers for a while, and then another one.
            machine = machines[random.Random(seed * 10_000 + at // 5).randrange(len(machines))]
            logprob = machine[request] + chance.gauss(0, NOISE)
            answer = DriftAnswer("yes", {"yes": logprob, "no": -9.0})
            calls.append(RepeatedCall(bytes([request]), str(at), at, answer, None, None, None))
            if at % LOOKED_EVERY == 0 and (found := look_at_traffic(watch, calls)) is not None:
                looks += 1
                if found.change is not None:
                    alarms += 1
                    calls = []
    return alarms, looks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/drift.md")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with run_server(folder / "data", config=create_models(folder)) as server:
            answers = {model: ask(server, model) for model in {*TITLES, *MACHINES}}
    tokens = [answer.token for answer in answers["machine-1"]]
    logprobs = {
        model: [
            answer.find_logprob(token) or 0.0
            for answer, token in zip(said, tokens, strict=True)
        ]
        for model, said in answers.items()
    }  # fmt: skip
    check_network(answers[WIDE])
    mixed = [logprobs[name] for name in MACHINES]
    usual = [statistics.fmean(column) for column in zip(*mixed, strict=True)]
    lines = ["| what changed | mean shift, nats | found |", "| --- | ---: | ---: |"]
    for model, title in TITLES.items():
        now = mixed if model == "machine-1" else [logprobs[model]]
        means = [statistics.fmean(column) for column in zip(*now, strict=True)]
        shift = statistics.fmean(abs(a - b) for a, b in zip(usual, means, strict=True))
        lines.append(f"| {title} | {shift:.3f} | {measure_power(mixed, now):.0%} |")
        print(lines[-1])
    alarms, looks = count_alarms(mixed)
    lines.append(f"\nOf {looks:,} looks at the unchanged model, {alarms} found a change.")
    print(lines[-1])
    alarms, looks = count_traffic_alarms(mixed)
    lines.append(
        f"\nOf {looks:,} looks at traffic that repeats {REQUESTS} requests, answered by the same "
        f"three machines, {alarms} found a change."
    )
    print(lines[-1])
    if asked.write:
        page = PAGE.read_text("utf-8")
        before, after = page.partition(BEGIN)[0], page.partition(END)[2]
        PAGE.write_text(before + BEGIN + "\n".join(lines) + "\n" + END + after, "utf-8")


if __name__ == "__main__":
    main()
