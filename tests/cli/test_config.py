"""`briggs config`."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from briggs.providers.catalog import CATALOG
from briggs.wires.configs.litellm import KINDS
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


def test_a_configuration_of_litellm_becomes_ours(tmp_path: Path) -> None:
    """Models, keys' variables, fallbacks, retries, timeouts and prices; the file is in order."""
    target = tmp_path / "briggs.toml"
    source = Path(__file__).with_name("litellm-config.yaml")
    made = run("config", "import", str(source), "--to", str(target))
    assert made.status == 0, made.errors
    checked = run("config", "check", str(target))
    assert checked.status == 0, checked.output
    said = tomllib.loads(target.read_text())
    assert said["models"] == {
        "gpt-4o-deployments": {
            "targets": [
                {"target": "azure/gpt-4o-eu", "weight": 6},
                {"target": "azure-2/gpt-4o-ca", "weight": 12},
            ],
            "strategy": "weight",
        },
        "gpt-4o": {"targets": ["gpt-4o-deployments", "claude"]},
        "claude": {
            "targets": ["anthropic/claude-sonnet-5"],
            "upstream_timeout_s": 300,
            "first_token_timeout_s": 60,
        },
        "bare": {
            "targets": ["openai/gpt-4o-mini", "claude"],
            "fallback_on": ["context_length"],
        },
        "mine": {"targets": ["openai-2/my-model"]},
        "from-environment": {"targets": ["vllm/llama"]},
        "gpt-4": {"targets": ["gpt-4o"]},
    }
    providers = said["providers"]
    assert providers["azure"] == {
        "kind": "azure",
        "base_url": "https://my-endpoint-europe.openai.azure.com/openai",
        "key_variable": "AZURE_API_KEY_EU",
        "api_version": "2024-02-01",
        "drop_unsupported": True,
    }
    assert (
        providers["azure-2"]["base_url"] == "https://my-endpoint-canada.openai.azure.com/openai/v1"
    )
    assert providers["azure-2"]["key_variable"] == "GPT_4O_API_KEY"
    assert providers["openai"]["key_variable"] == "OPENAI_API_KEY"
    assert providers["openai-2"]["base_url"] == "http://10.0.0.5:8000/v1"
    assert "key_variable" not in providers["openai-2"]
    assert providers["groq"]["kind"] == "groq"
    assert said["retries"] == {"attempts_max": 3}
    assert said["cool_down"] == {"failures": 4, "duration_s": 45}
    assert said["limits"] == {"upstream_timeout_s": 600}
    assert said["prices"] == {"openai/gpt-4o-mini": {"input": 0.15, "output": 0.6}}


def test_what_a_configuration_cannot_express_is_named(tmp_path: Path) -> None:
    """Notes stand on standard error and in the file, and no secret is in either."""
    source = Path(__file__).with_name("litellm-config.yaml")
    made = run("config", "import", str(source), "--to", "-", VLLM_URL="")
    for text in (made.errors, made.output):
        for said in (
            "gpt-4o: the key is written in the file",
            "gpt-4o: litellm_params.temperature is not expressed",
            "from-environment: api_base is in the variable VLLM_URL, which is not set here",
            "groq/*: Briggs has no patterns of names",
            "odd: Briggs has no provider 'watsonx'",
            "a deployment has no model_name or no litellm_params.model",
            "routing_strategy 'least-busy' is not there",
            "fallbacks of 'nobody'",
            "the setting redis_host is not expressed",
            "the setting success_callback is not expressed",
            "general_settings.master_key: Briggs makes its own keys",
            "general_settings.database_url is not expressed",
            "environment_variables is not expressed",
        ):
            assert said in text, said
        for secret in ("sk-secret", "sk-1234", "password"):
            assert secret not in text
    found = run("config", "import", str(source), "--to", "-", VLLM_URL="http://gpu:8000/v1")
    assert 'base_url = "http://gpu:8000/v1"' in found.output


@pytest.mark.parametrize("number", [-4, 0, 10**30])
def test_numbers_that_no_setting_has(tmp_path: Path, number: int) -> None:
    """Whatever numbers are in a configuration of LiteLLM, the file that is made of it is valid."""
    names = "num_retries, allowed_fails, cooldown_time, timeout, request_timeout, stream_timeout"
    settings = dict.fromkeys(names.split(", "), number)
    limits = dict.fromkeys(("weight", "timeout", "stream_timeout"), number)
    costs = dict.fromkeys(("input_cost_per_token", "output_cost_per_token"), number)
    deployment = {"model_name": "m", "litellm_params": {"model": "openai/a", **limits, **costs}}
    source, target = tmp_path / "config.yaml", tmp_path / "x.toml"
    config = {"model_list": [deployment, deployment], "router_settings": settings}
    source.write_text(json.dumps(config))
    made = run("config", "import", str(source), "--to", str(target))
    assert made.status == 0, made.errors
    attempts = tomllib.loads(target.read_text())["retries"]["attempts_max"]
    assert attempts == max(1, min(number + 1, 100))
    assert "is listed twice" in run("config", "check", str(target)).output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "it is not YAML"),
        ("[1]", "it is not a configuration of LiteLLM"),
        ("a: 1", "has no model_list"),
        ("model_list: 1", "has no model_list"),
        ("[" * 5_000, "it is not YAML"),
        ("a: !!python/object:os.system x", "it is not YAML"),
    ],
)
def test_a_bad_configuration_of_litellm(tmp_path: Path, text: str, said: str) -> None:
    """The error names the file, and nothing is written."""
    source = tmp_path / "config.yaml"
    source.write_text(text)
    done = run("config", "import", str(source), "--to", str(tmp_path / "x.toml"))
    assert done.status == 1
    assert said in done.errors and len(done.errors.splitlines()) == 1
    assert list(tmp_path.iterdir()) == [source]


def test_a_configuration_is_never_replaced(tmp_path: Path) -> None:
    """A file that is there stays; texts of every kind become texts of TOML."""
    source, target = tmp_path / "config.yaml", tmp_path / "x.toml"
    name = '"a\\"\\u007f\\n]é"'
    deployment = f'{{model_name: {name}, litellm_params: {{model: "openai/x\\\\y"}}}}'
    source.write_text(f"model_list:\n  - {deployment}\n")
    command = ["config", "import", str(source), "--to", str(target)]
    assert run(*command).status == 0
    assert tomllib.loads(target.read_text())["models"] == {
        'a"\x7f\n]é': {"targets": ["openai/x\\y"]}
    }
    again = run(*command)
    assert again.status == 1 and "is there already" in again.errors


def test_a_name_of_several_lines_is_one_note(tmp_path: Path) -> None:
    """What a file of others calls something cannot write lines of its own to the terminal."""
    source = tmp_path / "config.yaml"
    given = '{model: "openai/x", api_key: "sk-written"}'
    source.write_text(f'model_list:\n  - {{model_name: "a\\nWrote b", litellm_params: {given}}}\n')
    done = run("config", "import", str(source), "--to", str(tmp_path / "x.toml"))
    assert done.status == 0
    [note, wrote] = done.errors.splitlines()
    assert note.startswith("Not expressed: a") and wrote.startswith("Wrote ")
    assert "sk-written" not in done.errors + (tmp_path / "x.toml").read_text()


def test_every_kind_of_litellm_is_in_our_catalog() -> None:
    """What the prefixes of models become are providers that exist."""
    assert {*KINDS.values()} <= {vendor.name for vendor in CATALOG}
