"""The `nesa` command."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from nesa.cli import failures

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "answer": ("nesa.cli.commands.answer:answer", "Wait for the answer of a query asked before."),
    "attest": ("nesa.cli.commands.attest:attest", "Check quotes of enclaves, vouch for seats."),
    "balance": ("nesa.cli.commands.balance:balance", "Show what an account holds."),
    "delegation": ("nesa.cli.commands.delegation:delegation", "Stake NES for an operator."),
    "demo": ("nesa.cli.commands.demo:demo", "Run the whole network and tell its story."),
    "devnet": ("nesa.cli.commands.devnet:devnet", "Run a network on this machine."),
    "grant": ("nesa.cli.commands.grant:grant", "Let a watchtower see a sealed query."),
    "model": ("nesa.cli.commands.model:model", "Compile, check and register models."),
    "privacy": ("nesa.cli.commands.privacy:privacy", "Put models under your key; audit modes."),
    "query": ("nesa.cli.commands.query:query", "Ask a model and wait for the answer."),
    "reward": ("nesa.cli.commands.reward:reward", "Credit new NES to who worked for a query."),
    "sue": ("nesa.cli.commands.sue:sue", "Take to court who signed wrong sums of a share."),
    "summon": ("nesa.cli.commands.summon:summon", "Call the members of a silent shard."),
    "transfer": ("nesa.cli.commands.transfer:transfer", "Send NES to an account."),
    "watch": ("nesa.cli.commands.watch:watch", "Follow a query through its life."),
    "withdraw": ("nesa.cli.commands.withdraw:withdraw", "Have the market pay what it owes."),
}
"""Name of each command, where it is, and its line in `nesa --help`; imported when it runs."""

EPILOG: Final = "Example: nesa query breast-cancer-mlp features.csv --assurance AGREED --sealed"


class LazyGroup(click.Group):
    """A group that imports a command only when it is called, so that help is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, sorted."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `--help`, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in sorted(COMMANDS)])


CONTEXT: Final = {"max_content_width": 100, "help_option_names": ["-h", "--help"]}


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings=CONTEXT)
@click.version_option(package_name="nesa")
def cli() -> None:
    """Ask models that a network of miners runs, agrees on and proves; pay in NES."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 when it worked, 1 with a sentence when it did not, 2 for wrong usage."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with failures.warnings_in_words():
            code: Any = cli.main(args=words, prog_name="nesa", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as wrong:
        wrong.show()
        return wrong.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("stopped", err=True)
        return 130
    except Exception as error:
        failures.report(error, as_json="--json" in words)
        return 1
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
