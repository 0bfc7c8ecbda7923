"""The commands: one file a noun, imported only when it is asked for."""

from __future__ import annotations

import click

from briggs.cli.groups import LazyGroup

COMMANDS = {
    "serve": ("briggs.cli.serve:serve", "Start the server: answer and record."),
    "demo": ("briggs.cli.demo:demo", "See all of it in a minute, on this machine alone."),
    "chat": ("briggs.cli.chat:chat", "Ask a model, once or in conversation."),
    "completions": ("briggs.cli.completions:completions", "Look at what was recorded."),
    "sessions": ("briggs.cli.sessions:sessions", "Look at what was said in one session."),
    "stats": ("briggs.cli.stats:stats", "Sum up calls, failures, tokens, cost and times."),
    "feedback": ("briggs.cli.feedback:feedback", "Grade completions, and read what was graded."),
    "feedback-task": (
        "briggs.cli.feedback_task:feedback_task",
        "Say what is asked about which completions.",
    ),
    "spool": ("briggs.cli.spool:spool", "Send what programs recorded while it was away."),
    "check": ("briggs.cli.check:check", "Hold any endpoint to the specification."),
    "rules": ("briggs.cli.rules:rules", "Read the rule book."),
    "models": ("briggs.cli.models:models", "List the models that the server answers for."),
    "config": ("briggs.cli.config:config", "Check the configuration file."),
    "organizations": (
        "briggs.cli.organizations:organizations",
        "Create and list organizations.",
    ),
    "keys": ("briggs.cli.keys:keys", "Create, list and revoke API keys."),
}
"""Where each command is, and what `briggs --help` says of it without importing it."""


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
    and point any OpenAI client at http://127.0.0.1:10100/v1: every call is on record
    before its caller sees the end of it.

    \b
    Examples:
      briggs serve                              start the server
      briggs chat "What is 17 + 25?"            ask it something
      briggs completions list                   see what was recorded
      briggs completions tail                   watch calls as they come
    """
