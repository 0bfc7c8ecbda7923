"""The problems that a file can have: one test for each row of the second table in docs/errors.md."""

# ruff: noqa: E501

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.gateway.models import open_models, resolve
from briggs.gateway.order import arrange
from briggs.providers.base import Provider
from briggs.providers.catalog import check_providers
from briggs.settings import (
    FileSettings,
    LimitSettings,
    ModelSettings,
    ProviderSettings,
    SettingsError,
    TargetSettings,
    open_settings,
    read_file,
)
from briggs.settings.problems import clean, find_problems
from briggs.types.completions import Completion
from tests.gateway.test_attempts import FakeProvider

TABLE = Path(__file__).parents[2] / "docs" / "errors.md"

TABLES: Any = [FileSettings, LimitSettings, ModelSettings, ProviderSettings, TargetSettings]

MINE = '[providers.mine]\nbase_url = "http://127.0.0.1:9000/v1"\n'

# The file, and its message with the line.
ROWS: list[tuple[str, str, str]] = [
    ("not TOML", "a = 1\n[limits", "2: is not TOML: Expected ']'"),
    ("an unknown store", "store = 'mysql://a@b/c'", "1: store: unknown store 'mysql://a@b/c': use \"sqlite\", or \"postgresql://USER@HOST:PORT/DATABASE\""),
    ("a wrong port of a store", "store = 'postgresql://a@b:1,c:x/d'", "1: store: unknown store 'postgresql://a@b:1,c:x/d': use \"sqlite\", or \"postgresql://USER@HOST:PORT/DATABASE\""),
    ("a store with a password", "store = 'postgresql://a:b@c/d'", "1: store: must have no password: put it into BRIGGS_STORE_PASSWORD"),
    ("a member set twice", 'store = "sqlite"\n\nstore = "sqlite"', "3: is not TOML: Cannot overwrite a value"),
    ("a table defined twice", f"{MINE}[providers.mine]", "3: is not TOML: Cannot declare"),
    ("unknown member", "\ndurabilty = 'strict'", "2: durabilty: unknown setting; did you mean 'durability'?"),
    ("number that is too large", "[local]\nparallel = 1000000000", "2: local.parallel: expected `int` <= 1024, not 1000000000"),
    ("unknown member of a table", "[limits]\nbody_max = 1", "2: limits.body_max: unknown setting; did you mean 'body_bytes_max'?"),
    ("wrong type in the file", "[limits]\nin_flight_max = 'many'", "2: limits.in_flight_max: expected `int`, got `str`"),
    ("wrong type in a list", "hosts = [\n 'a',\n 7]", "3: hosts[1]: expected `str`, got `int`"),
    ("not a table", "limits = 3", "1: limits: expected `table`, got `int`"),
    ("missing member", "[models.fast]", "1: models.fast: targets is missing"),
    ("not among the choices", "durability = 'stric'", "1: durability: 'stric' is not allowed; did you mean 'strict'?"),
    ("negative number", "[limits]\nbody_timeout_s = -1", "2: limits.body_timeout_s: expected `float` > 0.0, not -1"),
    ("infinite number", "[limits]\nbody_timeout_s = inf", "2: limits.body_timeout_s: expected `float` <= 604800.0, not inf"),
    ("not a number", "[limits]\nbody_timeout_s = nan", "2: limits.body_timeout_s: expected `float` > 0.0, not nan"),
    ("unknown store", "store = 'mysql://x'", "1: store: unknown store 'mysql://x': use"),
    ("unknown kind of provider", "[providers.mine]\nkind = 'grok'", "2: providers.mine.kind: 'grok' is not in the catalog; did you mean 'groq'"),
    ("kind that needs a base_url", "[providers.mine]\nkind = 'azure'", "1: providers.mine: azure needs the base_url of your resource"),
    ("base_url that is not a URL", "[providers.mine]\nbase_url = 'ftp://x'", "2: providers.mine.base_url: 'ftp://x' must begin with http:// or https://"),
    ("base_url that is not a URL", "[providers.mine]\nbase_url = 'http://[::1'", "2: providers.mine.base_url: 'http://[::1' must begin with http:// or https://, and then have a host"),
    ("base_url that is not a URL", "[providers.mine]\nbase_url = 'http://:80/v1'", "2: providers.mine.base_url: 'http://:80/v1' must begin with"),
    ("base_url with a password", "[providers.mine]\nbase_url = 'https://me:pass@h/v1'", "2: providers.mine.base_url: must not contain a user and password: set key_variable instead"),
    ("key_variable that is not a variable's name", "[providers.mine]\nkey_variable = 'sk-1234'", "2: providers.mine.key_variable: must be the name of an environment variable, never the key itself"),
    ("vendor's name without its kind", "[providers.groq]\nkey_variable = 'K'", "1: providers.groq: without kind it is treated as OpenAI: write kind = 'groq'"),
    ("provider named local", "[providers.local]", "1: providers.local: the name 'local' is reserved"),
    ("provider with a slash", "[providers.'a/b']", '1: providers."a/b": a provider\'s name must be printable, without a slash'),
    ("unknown default_provider", f"default_provider = 'mime'\n{MINE}", "1: default_provider: unknown provider 'mime'; did you mean 'mine'?"),
    ("no targets", "[models.fast]\ntargets = []", "2: models.fast.targets: expected `list` of length >= 1"),
    ("target of an unknown provider", f"{MINE}[models.fast]\ntargets = ['mine/m',\n'mime/m']", "5: models.fast.targets[1]: 'mime/m': unknown provider 'mime'; did you mean 'mine'?"),
    ("target of an unknown provider, with no similar one", "[models.fast]\ntargets = ['groq/m']", "2: models.fast.targets[0]: 'groq/m': unknown provider 'groq'; use one of local, or add [providers.groq] with its kind"),
    ("target of an unknown name", "[models.fast]\ntargets = ['fest']", "2: models.fast.targets[0]: 'fest' is neither provider/model nor a name in [models]; did you mean 'fast'?"),
    ("target listed twice", f"{MINE}[models.fast]\ntargets = ['mine/m', 'mine/m']", "4: models.fast.targets[1]: 'mine/m' is listed twice"),
    ("targets that loop", "[models.a]\ntargets = ['b']\n[models.b]\ntargets = ['a']", "2: models.a.targets: leads back to itself: a -> b -> a"),
    ("target that loops", "[models.a]\ntargets = ['a']", "2: models.a.targets: leads back to itself: a -> a"),
    ("chain of names that is too long", "\n".join(f"[models.m{n}]\ntargets = ['m{n + 1}']" for n in range(9)) + "\n[models.m9]\ntargets = ['local/m']", "2: models.m0.targets: leads through more than 8 names to a provider"),
    ("weight of zero", f"{MINE}[models.fast]\ntargets = [{{target = 'mine/m', weight = 0}}]", "4: models.fast.targets[0].weight: expected `float` > 0.0, not 0"),
    ("backoff_s above backoff_max_s", "[retries]\nbackoff_s = 9", "1: retries.backoff_max_s: must not be shorter than backoff_s"),
    ("price of an unknown model", f"{MINE}[prices.'mime/m']\ninput = 1\noutput = 2", '3: prices."mime/m": not a provider/model; did you mean \'mine\'?'),
    ("no such GGUF file", "[local.models]\nmine = '/nowhere.gguf'", "2: local.models.mine: there is no file /nowhere.gguf"),
]  # fmt: skip

WARNINGS = [
    ("key that is not set", "[providers.mine]\nkind = 'groq'", "1: providers.mine.key_variable: the environment variable GROQ_API_KEY is not set"),
    ("weights that have no effect", f"{MINE}[models.fast]\ntargets = [{{target = 'mine/m', weight = 2}}]", "4: models.fast.targets: weights only count with"),
]  # fmt: skip


def write(folder: Path, text: str) -> Path:
    path = folder / "briggs.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(("title", "text", "words"), ROWS, ids=[row[0] for row in ROWS])
def test_row(tmp_path: Path, title: str, text: str, words: str) -> None:
    """Each problem in a file is one message, with its line and what to do."""
    path = write(tmp_path, text)
    reading = read_file(path, environment={}, check=check_providers)
    [found] = [str(error) for error in reading.errors]
    assert found.startswith(f"{path}:{words}")
    with pytest.raises(SettingsError) as refused:
        open_settings(config=path, environment={}, check=check_providers)
    assert str(refused.value) == found


@pytest.mark.parametrize(("title", "text", "words"), WARNINGS, ids=[row[0] for row in WARNINGS])
def test_warning(tmp_path: Path, title: str, text: str, words: str) -> None:
    """A setting that may be a mistake gives a warning, and Briggs starts."""
    path = write(tmp_path, text)
    settings = open_settings(config=path, environment={}, check=check_providers)
    [warning] = settings.warnings
    assert warning.startswith(f"{path}:{words}")


@pytest.mark.parametrize("title", [row[0] for row in [*ROWS, *WARNINGS]])
def test_documented(title: str) -> None:
    """Every row is in the documentation's table."""
    assert f"| {title} |" in TABLE.read_text()


words = st.sampled_from(
    [*(name for cls in TABLES for name in cls.__struct_fields__), "mine", "mine/m", "local/m", "x"]
)
anything = st.recursive(
    words | st.integers(-2, 2) | st.floats() | st.booleans() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(words, anything, max_size=5))
def test_any_content(content: dict[str, Any]) -> None:
    """Any file is checked as a whole, and its valid part can be used."""
    file, problems = clean(content)
    assert not clean(msgspec.to_builtins(file))[1]
    names = content.get("models")
    problems += find_problems(file, names=names if isinstance(names, dict) else {})
    problems += check_providers(file, {})
    if not any(problem.is_error for problem in problems):
        models = open_models(
            {name: cast("Provider", FakeProvider(name)) for name in [*file.providers, "local"]},
            file=file,
            default_provider=file.default_provider,
        )
        for name in file.models:
            assert arrange(resolve(name, models=models), Completion(organization_id="default"))


def test_all_at_once(tmp_path: Path) -> None:
    """All problems of a file are found in one reading, in the order of its lines."""
    texts = [
        "store = 'mysql'\nhosts = [1, 2]",
        "[models.a]\ntargets = ['b', 'mime/m']\nstrategy = 'wait'",
        "[models.b]\ntargets = ['a']\nwait = 1",
        "[limits]\nin_flight_max = 0\ncall_timeout_s = 'long'",
        "[providers.mine]\nkind = 'grok'\nkeys = 'x'",
    ]
    reading = read_file(write(tmp_path, "\n".join(texts)), environment={}, check=check_providers)
    lines = [problem.line for problem in reading.errors]
    assert lines == [1, 2, 2, 4, 4, 5, 8, 10, 11, 13, 14]


def test_what_is_broken_is_not_missed(tmp_path: Path) -> None:
    """A table with an error still exists for the members that name it."""
    text = (
        "[providers.mine]\nkind = 7\n[models.a]\ntargets = 3\n[models.b]\ntargets = ['a', 'mine/m']"
    )
    reading = read_file(write(tmp_path, text), environment={})
    assert [problem.line for problem in reading.errors] == [2, 4]


def test_no_such_file(tmp_path: Path) -> None:
    """A named file that does not exist is an error."""
    with pytest.raises(SettingsError, match=r"none\.toml: cannot be read: No such file"):
        open_settings(config=tmp_path / "none.toml")


def test_not_utf8(tmp_path: Path) -> None:
    """A file that is not UTF-8 is refused, and the message says so."""
    path = tmp_path / "briggs.toml"
    path.write_bytes(b'store = "\xff"')
    with pytest.raises(SettingsError, match="is not UTF-8"):
        open_settings(config=path)


def test_a_byte_order_mark(tmp_path: Path) -> None:
    """A byte order mark at the start of a file is ignored, and moves no line."""
    path = tmp_path / "briggs.toml"
    path.write_bytes(b"\xef\xbb\xbfdurability = 'relaxed'\nhost = 1")
    reading = read_file(path, environment={})
    assert reading.file.durability == "relaxed"
    assert [problem.line for problem in reading.errors] == [2]


def test_an_example_of_everything(tmp_path: Path) -> None:
    """The example in docs/settings.md is valid, except for files that do not exist here."""
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
    text = page.split("```toml\n")[1].split("```")[0]
    reading = read_file(write(tmp_path, text), environment={}, check=check_providers)
    members = {problem.member for problem in reading.errors}
    assert members == {"local.models.qwen", "local.models.base", "local.models.embedder"}
