"""`briggs config`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import run

GOOD = """
[providers.mine]
base_url = "http://127.0.0.1:9000/v1"
[providers.groq]
kind = "groq"
[models.fast]
targets = ["mine/a", "groq/b"]
[models.spread]
strategy = "weight"
targets = ["mine/a", { target = "groq/b", weight = 3 }]
"""


def write(folder: Path, text: str) -> str:
    path = folder / "team.toml"
    path.write_text(text)
    return str(path)


def test_in_order(tmp_path: Path) -> None:
    """A valid file is summed up in a few lines: providers, keys and names."""
    path = write(tmp_path, GOOD)
    done = run("config", "check", path, GROQ_API_KEY="secret-7f3a")
    assert done.status == 0
    assert done.output.splitlines() == [
        f"{path}: in order",
        "  provider mine: openai at http://127.0.0.1:9000/v1, no key",
        "  provider groq: groq at https://api.groq.com/openai/v1, GROQ_API_KEY, which is set",
        "  model fast: mine/a, then groq/b",
        "  model spread: mine/a 25%, groq/b 75%",
    ]
    as_json = run("config", "check", "--json", path, GROQ_API_KEY="secret-7f3a")
    assert "secret-7f3a" not in as_json.output


def test_a_warning_is_no_error(tmp_path: Path) -> None:
    """A missing key is only a warning, because the server may have it."""
    done = run("config", "check", write(tmp_path, GOOD), GROQ_API_KEY="")
    assert done.status == 0
    assert "team.toml:4: providers.groq.key_variable: " in done.output
    assert "(a warning)" in done.output


def test_a_target_that_is_no_local_model(tmp_path: Path) -> None:
    """The local models are known without a call: the built-in one, and those of the file."""
    text = '[models.fast]\ntargets = ["local/briggs-tiny", "local/briggs-tyny", "local/mine"]\n'
    text += '[local.models]\nmine = "/tmp/mine.gguf"\n'
    done = run("config", "check", write(tmp_path, text))
    assert done.output.count("there is no local model") == 1
    assert "'briggs-tyny'; did you mean 'briggs-tiny'?" in done.output
    assert "team.toml:2: models.fast.targets[1]: " in done.output


def test_the_file_as_an_option(tmp_path: Path) -> None:
    """`--config` names the file, as it does for `briggs serve`."""
    path = write(tmp_path, GOOD)
    assert run("config", "check", "--config", path) == run("config", "check", path)


def test_all_that_is_wrong(tmp_path: Path) -> None:
    """Every problem is a line, and the exit status is 1."""
    path = write(tmp_path, 'durabilty = "strict"\n[models.fast]\ntargets = ["fast"]')
    done = run("config", "check", path)
    assert done.status == 1
    assert done.output.splitlines() == [
        f"{path}:1: durabilty: unknown setting; did you mean 'durability'?",
        f"{path}:3: models.fast.targets: leads back to itself: fast -> fast",
        f"{path}: 2 errors",
    ]


def test_json(tmp_path: Path) -> None:
    """`--json` prints the same for programs."""
    path = write(tmp_path, GOOD + "[limits]\nin_flight_max = 0")
    done = run("config", "check", "--json", path, GROQ_API_KEY="")
    assert done.status == 1
    found = json.loads(done.output)
    assert [(each["line"], each["severity"]) for each in found["problems"]] == [
        (4, "warning"),
        (12, "error"),
    ]
    assert found["problems"][1]["member"] == "limits.in_flight_max"
    assert [each["name"] for each in found["providers"]] == ["mine", "groq"]
    assert found["models"]["spread"]["targets"][1] == {"target": "groq/b", "weight": 3}


def test_which_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a name, it checks the file that `briggs serve` would read."""
    monkeypatch.chdir(tmp_path)
    done = run("config", "check")
    assert (done.status, "this folder has no briggs.toml" in done.errors) == (1, True)
    path = write(tmp_path, "")
    assert run("config", "check", BRIGGS_CONFIG=path).output == f"{path}: in order\n"
    (tmp_path / "briggs.toml").write_text("store = 7")
    assert run("config", "check").output.startswith("briggs.toml:1: store: ")
    assert run("config", "check", "none.toml").status == 1
