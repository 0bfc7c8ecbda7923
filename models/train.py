"""Train the built-in model from scratch: `python -m models.train`."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from models.data import Conversation, training_conversations
from models.llama import Llama, Shape
from models.tokenizer import encode_conversations, load_tokenizer, train_tokenizer

# Short rows are several times cheaper. Every fourth batch has long rows, for conversations of
# several turns.
BATCHES = ((128, 64), (128, 64), (128, 64), (256, 32))
"""Tokens per row, and number of rows."""

IGNORED = -100


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast to train."""

    steps: int
    seed: int = 1617
    warmup_steps: int = 150
    decay_part: float = 0.5
    matrix_rate: float = 5e-3
    other_rate: float = 3e-3
    weight_decay: float = 0.05


@dataclass(slots=True)
class Progress:
    """How far a run has come. It is saved with every checkpoint."""

    step: int = 0
    seconds: float = 0.0
    tokens: int = 0
    answer_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of packed conversations. Targets are -100 for tokens that are not the assistant's."""

    ids: Tensor
    targets: Tensor
    mask: Tensor


Optimizers = list[torch.optim.Optimizer]
Row = tuple[list[int], list[bool], list[int]]
"""Token ids, which of them the assistant wrote, and the conversation each belongs to."""


def main() -> None:
    """Train, or continue a run that was stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("models/run"))
    parser.add_argument("--steps", type=int, default=2800)
    arguments = parser.parse_args()
    train(arguments.run, Plan(steps=arguments.steps))


def train(run: Path, plan: Plan) -> None:
    """Train until the plan's last step, with checkpoints from which a later call continues."""
    run.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(run / "tokenizer.json", plan.seed)
    torch.manual_seed(plan.seed)
    network = Llama(Shape(vocabulary=tokenizer.get_vocab_size()))
    optimizers = _optimizers(network, plan)
    progress = _restore(run / "checkpoint.pt", network, optimizers)
    network.compile(dynamic=False)
    started = time.monotonic() - progress.seconds
    while progress.step < plan.steps:
        batch = make_batch(tokenizer, plan.seed, progress.step)
        _set_rates(optimizers, plan, progress.step)
        loss = train_step(network, optimizers, batch)
        progress.step += 1
        progress.seconds = time.monotonic() - started
        progress.tokens += batch.ids.numel()
        progress.answer_tokens += int((batch.targets != IGNORED).sum())
        if progress.step % 50 == 0:
            rate = progress.tokens / progress.seconds
            print(f"step {progress.step} loss {loss:.4f} {rate:.0f} tokens/s", flush=True)
        if progress.step % 200 == 0 or progress.step == plan.steps:
            _save(run, network, optimizers, progress, plan)


def train_step(network: Llama, optimizers: Optimizers, batch: Batch) -> float:
    """Do one optimization step, and return the loss before it."""
    loss = _loss(network, batch)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return loss.item()


def make_batch(tokenizer: Tokenizer, seed: int, step: int) -> Batch:
    """The batch of a step. The seed decides it, so that a resumed run sees the same text."""
    conversations = training_conversations(seed * 1_000_003 + step)
    length, count = BATCHES[step % len(BATCHES)]
    rows = list(islice(_packed(tokenizer, conversations, length), count))
    ids = torch.tensor([row[0] for row in rows])
    written = torch.tensor([row[1] for row in rows])
    document = torch.tensor([row[2] for row in rows])
    next_in_same = (document[:, 1:] == document[:, :-1]) & written[:, 1:]
    targets = torch.where(next_in_same, ids[:, 1:], IGNORED)
    document = document[:, :-1]
    same = document[:, :, None] == document[:, None, :]
    mask = (same & torch.ones(length, length, dtype=torch.bool).tril())[:, None]
    return Batch(ids[:, :-1], targets, mask)


def _packed(
    tokenizer: Tokenizer, conversations: Iterator[Conversation], length: int
) -> Iterator[Row]:
    """Fill rows with whole conversations. The rest of a row is padding."""
    ids: list[int] = []
    written: list[bool] = []
    document: list[int] = []
    while True:
        encoded = encode_conversations(tokenizer, list(islice(conversations, 64)))
        for number, (some_ids, some_written) in enumerate(encoded):
            if len(some_ids) > length:
                continue
            if len(ids) + len(some_ids) > length + 1:
                padding = length + 1 - len(ids)
                yield ids + [0] * padding, written + [False] * padding, document + [-1] * padding
                ids, written, document = [], [], []
            ids, written = ids + some_ids, written + some_written
            document = document + [number] * len(some_ids)


def _loss(network: Llama, batch: Batch) -> Tensor:
    """The loss on the assistant's tokens only: the questions are not learnt."""
    asked = batch.targets != IGNORED
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = network.logits(network(batch.ids, batch.mask)[asked])
    return functional.cross_entropy(logits.float(), batch.targets[asked])


def _optimizers(network: Llama, plan: Plan) -> Optimizers:
    """Muon for the matrices of the layers, AdamW for the embedding and the norms."""
    matrices = [p for p in network.blocks.parameters() if p.ndim == 2]
    inside = {id(p) for p in matrices}
    others = [p for p in network.parameters() if id(p) not in inside]
    return [
        torch.optim.Muon(
            matrices,
            lr=plan.matrix_rate,
            weight_decay=plan.weight_decay,
            adjust_lr_fn="match_rms_adamw",
        ),
        torch.optim.AdamW(others, lr=plan.other_rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def _set_rates(optimizers: Optimizers, plan: Plan, step: int) -> None:
    """Set the rates: rise in the warm-up, stay level, then fall linearly to zero."""
    rising = (step + 1) / plan.warmup_steps
    falling = (plan.steps - step) / (plan.steps * plan.decay_part)
    for optimizer, rate in zip(optimizers, (plan.matrix_rate, plan.other_rate), strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, rising, falling)


def _tokenizer(path: Path, seed: int) -> Tokenizer:
    if not path.exists():
        train_tokenizer(seed).save(str(path))
    return load_tokenizer(path)


def _restore(path: Path, network: Llama, optimizers: Optimizers) -> Progress:
    if not path.exists():
        return Progress()
    saved = torch.load(path)
    network.load_state_dict(saved["network"])
    for optimizer, state in zip(optimizers, saved["optimizers"], strict=True):
        optimizer.load_state_dict(state)
    return Progress(**saved["state"])


def _save(
    run: Path, network: Llama, optimizers: Optimizers, progress: Progress, plan: Plan
) -> None:
    """Write the new checkpoint beside the old one first, so that one survives a kill."""
    about = {"state": asdict(progress), "plan": asdict(plan), "shape": asdict(network.shape)}
    weights = {
        "network": network.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
    }
    fresh = run / "checkpoint.pt.new"
    torch.save(about | weights, fresh)
    fresh.rename(run / "checkpoint.pt")
    (run / "training.json").write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
