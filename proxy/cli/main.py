"""Which commands there are, and how each of them ends: 0 done, 1 failed, 2 wrong usage."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

import click

from policies.errors import BursarError

FAILED: Final = 1
WRONG_USAGE: Final = 2
#: As shells report a program that Ctrl-C ended.
INTERRUPTED: Final = 130

#: By name: the module whose `command` it is, and what it does. A command's imports are its own,
#: so that `bursar --help` starts none of them.
COMMANDS: Final = {
    "serve": ("proxy.cli.serve", "Run the proxy."),
    "demo": ("proxy.cli.demo", "Run the proxy with a simulated provider and sample policies."),
    "run": ("proxy.cli.run", "Run a program whose LLM calls have a budget."),
    "check": ("proxy.cli.check", "Validate configuration and policies."),
    "keys": ("proxy.cli.keys", "Create, list, rotate and revoke keys."),
    "budgets": ("proxy.cli.budgets", "Show what is spent and what is left, and grant more."),
    "calls": ("proxy.cli.calls", "List calls, newest first."),
    "receipts": ("proxy.cli.receipts", "Show and fetch what providers billed."),
    "audit": ("proxy.cli.audit", "Read, export and verify the journal."),
    "ledger": (
        "proxy.cli.ledger",
        "Compare the ledger with the archive, and give it back what it lost.",
    ),
    "backtest": ("proxy.cli.backtest", "Decide archived calls again, under another policy."),
    "simulate-provider": ("proxy.cli.simulate_provider", "Run the simulated provider alone."),
}


class Commands(click.Group):
    """The commands, each imported when it is run and not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the overview."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; None: there is no such one."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, said) for name, (_, said) in COMMANDS.items()])


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="bursar", message="bursar %(version)s")
def cli() -> None:
    """Keep LLM spending inside budgets."""


def main() -> None:
    """Run the command that the arguments name, and exit with its status."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command; return its exit status. What went wrong is one line each on stderr."""
    try:
        status = cli.main(list(arguments), prog_name="bursar", standalone_mode=False)
        sys.stdout.flush()
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx is not None else "bursar"
        _say(f"{path}: {error.format_message().rstrip('.')} (see {path} --help)")
        return WRONG_USAGE
    except click.ClickException as error:
        _say(f"bursar: {error.format_message()}")
        return FAILED
    except BursarError as error:
        return _explain(error)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough. Python would complain when it flushes at exit.
        sys.stdout = None
        return FAILED
    return status if isinstance(status, int) else 0


def _explain(error: BursarError) -> int:
    """Say what went wrong; mistakes in files are wrong usage, everything else a failure."""
    from policies.lined_yaml import Mistakes

    if isinstance(error, Mistakes):
        for mistake in error.mistakes:
            _say(str(mistake))
        return WRONG_USAGE
    _say(f"bursar: {error}")
    return FAILED


def _say(line: str) -> None:
    click.echo(line, err=True)
