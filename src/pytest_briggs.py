"""What pytest finds: options, marks and fixtures. Without `--briggs` it imports nothing else.

It stands outside of the package, because importing `briggs` takes longer than all of this.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from briggs import Client
    from briggs.testing.evals import Evals
    from briggs.testing.plugin import BriggsPlugin, ScoreFunction

_NAME = "briggs-evals"
_LOG10 = {
    "--log10": "",
    "--local": "local",
    "--pretty-print": "pretty-print",
    "--eval-session-name": "session-name",
}
"""The names that Log10's plugin has for these options, where no other plugin has them."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("briggs", "evals with Briggs")
    group.addoption("--briggs", action="store_true", help="Record this run, its calls and scores.")
    for name, options in (
        ("--briggs-url", {"metavar": "URL", "help": "The server. [BRIGGS_URL, or the local one]"}),
        ("--briggs-local", {"action": "store_true", "help": "Send no report to the server."}),
        ("--briggs-pretty-print", {"action": "store_true", "help": "Print the report as JSON."}),
        ("--briggs-session-name", {"metavar": "NAME", "help": "The name of the run."}),
    ):
        group.addoption(name, **options)
    for log10, name in _LOG10.items():
        action = "store" if name == "session-name" else "store_true"
        dest = f"briggs_{name}".rstrip("_").replace("-", "_")
        said = f"Log10's name for --briggs-{name}".rstrip("-")
        # Another plugin may have the option.
        with contextlib.suppress(ValueError):
            group.addoption(log10, dest=dest, action=action, help=f"{said}.")
    parser.addini("briggs", "Whether --briggs is on by default.", type="bool", default=False)
    parser.addini("log10", "Log10's name for `briggs`.", type="bool", default=False)
    parser.addini("eval_session_name", "The default of --briggs-session-name.", default="")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "briggs_threshold(at_least, name='score', sure=False): the mean of the scores of all cases "
        "of a test must not lie clearly below `at_least`; with `sure`, it must lie clearly above.",
    )
    if config.getoption("briggs") or config.getini("briggs") or config.getini("log10"):
        from briggs.testing.plugin import BriggsPlugin

        config.pluginmanager.register(BriggsPlugin(config), _NAME)


def _find_plugin(request: pytest.FixtureRequest) -> BriggsPlugin:
    plugin: Any = request.config.pluginmanager.get_plugin(_NAME)
    if plugin is None:
        pytest.skip("needs a Briggs server: run pytest with --briggs")
    found: BriggsPlugin = plugin
    return found


@pytest.fixture(scope="session")
def briggs_client(request: pytest.FixtureRequest) -> Client:
    """A `briggs.Client` of the server."""
    return _find_plugin(request).client


@pytest.fixture(scope="session")
def briggs_evals(request: pytest.FixtureRequest) -> Evals:
    """Runs evals on the server, and requires scores with their intervals."""
    return _find_plugin(request).evals


@pytest.fixture
def briggs_score(request: pytest.FixtureRequest) -> ScoreFunction:
    """`briggs_score(value, name="score", reason="")`: note how good this case is, from 0 to 1."""
    return _find_plugin(request).open_score(request.node)
