"""The commands: one module for each, imported on first use."""

from __future__ import annotations

import click

from briggs.cli.groups import LazyGroup

COMMANDS = {
    "serve": ("briggs.cli.serve:serve", "Start the server: answer and record."),
    "open": ("briggs.cli.open:open_pages", "Open the pages in your browser, signed in."),
    "demo": ("briggs.cli.demo:demo", "See Briggs work in a minute, on this machine alone."),
    "chat": ("briggs.cli.chat:chat", "Ask a model, once or in conversation."),
    "completions": ("briggs.cli.completions:completions", "List and show recorded completions."),
    "sessions": ("briggs.cli.sessions:sessions", "List sessions, or show one as a conversation."),
    "stats": ("briggs.cli.stats:stats", "Sum up calls, failures, tokens, cost and times."),
    "feedback": ("briggs.cli.feedback:feedback", "Grade completions, and read feedback."),
    "feedback-task": (
        "briggs.cli.feedback_task:feedback_task",
        "Define what reviewers grade, and for which completions.",
    ),
    "replay": ("briggs.cli.replay:replay", "Ask recorded calls again, and see what differs."),
    "drift": ("briggs.cli.drift:drift", "Notice when the model behind a name changes."),
    "judges": ("briggs.cli.judges:judges", "Let models grade, and see how far to trust them."),
    "preferences": (
        "briggs.cli.preferences:preferences",
        "Say which of several answers is best.",
    ),
    "datasets": (
        "briggs.cli.datasets:datasets",
        "Keep samples and their right answers, in versions.",
    ),
    "evals": ("briggs.cli.evals:evals", "Ask models the same, score the answers, compare."),
    "compare": (
        "briggs.cli.compare:compare",
        "What other models would have answered to what is on record.",
    ),
    "prompts": ("briggs.cli.prompts:prompts", "Find the prompts in the traffic, and compare them."),
    "export": ("briggs.cli.export:export", "Export the record: to keep, to analyse, to train."),
    "import": ("briggs.cli.import_:import_file", "Take an export or another tool's calls in."),
    "mcp": ("briggs.cli.mcp:mcp", "Offer the record to a model, by MCP."),
    "spool": ("briggs.cli.spool:spool", "Send calls that were recorded while the server was down."),
    "check": ("briggs.cli.check:check", "Check any endpoint against the specification."),
    "rules": ("briggs.cli.rules:rules", "Read the rule book."),
    "models": ("briggs.cli.models:models", "List the models that the server offers."),
    "config": ("briggs.cli.config:config", "Check the configuration file, or make one."),
    "organizations": (
        "briggs.cli.organizations:organizations",
        "Create and list organizations.",
    ),
    "backup": ("briggs.cli.backup:backup", "Copy the record to a file, while it is in use."),
    "restore": ("briggs.cli.restore:restore", "Put a backup into a data folder."),
    "verify": ("briggs.cli.verify:verify", "Read the whole record, and say what is wrong."),
    "store": ("briggs.cli.store:store", "Copy the record to another database."),
    "retention": (
        "briggs.cli.retention:retention",
        "Delete what has been kept for long enough.",
    ),
    "lake": ("briggs.cli.lake:lake", "Bring old completions to tables, and query them."),
    "rollups": ("briggs.cli.rollups:rollups", "Build the sums of the home page again."),
    "search": ("briggs.cli.search:search", "Build the index of words again."),
    "nodes": ("briggs.cli.nodes:nodes", "List the servers on this database."),
    "keys": ("briggs.cli.keys:keys", "Create, list and revoke API keys."),
}
"""Each command's place, and its summary in `briggs --help`, which imports none of them."""


def _print_version(context: click.Context, parameter: click.Parameter, asked: bool) -> None:
    if not asked or context.resilient_parsing:
        return
    from importlib.metadata import version

    click.echo(f"briggs {version('briggs')}")
    context.exit()


@click.group(
    cls=LazyGroup,
    commands_table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def main() -> None:
    """Briggs answers, records and grades LLM chat completions.

    Start with `briggs demo`, which needs no key and no network. Then run `briggs serve`
    and point any OpenAI client at http://127.0.0.1:10100/v1. Every call is recorded
    before its caller sees the end of the answer.

    \b
    Examples:
      briggs serve                              start the server
      briggs chat "What is 17 + 25?"            ask a question
      briggs completions list                   list recorded calls
      briggs completions tail                   watch new calls
    """
