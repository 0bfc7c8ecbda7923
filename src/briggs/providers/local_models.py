"""Checks and names the GGUF files of `[local.models]` without loading them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from briggs.providers import gguf
from briggs.settings import (
    FileSettings,
    LocalModelSettings,
    LocalSettings,
    Pooling,
    Problem,
    read_local_model,
    read_target,
    suggest,
)

BUILT_IN = "briggs-tiny"
_NAME_CHARACTERS_MAX = 64


def check_local(settings: LocalSettings) -> Iterator[Problem]:
    """Problems with the files of `[local.models]` that only reading them shows."""
    for name, listed in settings.models.items():
        model, place = read_local_model(listed), ("local", "models", name)
        try:
            own = read_own_template(model)
            given = gguf.read_template(model.path)
        except gguf.NotGguf as error:
            yield Problem(place, f"{model.path} is not a GGUF file: {error}", is_error=False)
        except (OSError, ValueError):
            # Another check reports a missing file.
            continue
        else:
            if own is None and given is None:
                message = (
                    f"{model.path} has no chat template, so its prompts are written as ChatML, "
                    "which the model may not know. Set chat_template or chat_template_file in "
                    f"[local.models.{name}]"
                )
                yield Problem(place, message, is_error=False)


def check_local_targets(file: FileSettings) -> Iterator[Problem]:
    """Targets in `[models]` that name a local model that does not exist."""
    known = [BUILT_IN, *file.local.models]
    for name, model in file.models.items():
        for place, one in enumerate(map(read_target, model.targets)):
            provider, _, local = one.target.partition("/")
            if provider != "local" or local in known or one.target in file.models:
                continue
            meant = suggest(local, known) or ": list its GGUF file in [local.models]"
            message = f"there is no local model {local!r}{meant}"
            yield Problem(("models", name, "targets", place), message, is_error=False)


def find_template(model: LocalModelSettings) -> str | None:
    """A model's chat template, from its settings or its file; None if neither has one."""
    try:
        own = read_own_template(model)
        return gguf.read_template(model.path) if own is None else own
    except (OSError, ValueError):
        # Such a model does not start, and the error then explains why.
        return None


def find_pooling(model: LocalModelSettings) -> Pooling | None:
    """How a model's tokens become one vector. None if its file says. Raises `OSError`."""
    if model.pooling is not None:
        return model.pooling
    return None if gguf.has_pooling(model.path) else "mean"


def read_own_template(model: LocalModelSettings) -> str | None:
    """The chat template in a model's settings. Raises `OSError`."""
    if model.chat_template_file is not None:
        return Path(model.chat_template_file).read_text("utf-8", errors="replace")
    return model.chat_template


def name_build(path: str, *, template: str | None) -> str:
    """The `system_fingerprint`: the version of llama.cpp, and the file. Raises `OSError`."""
    digits = gguf.print_file(path, template=template)
    return f"xllamacpp-{version('xllamacpp')}-{Path(path).stem[:_NAME_CHARACTERS_MAX]}-{digits}"
