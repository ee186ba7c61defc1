"""`bursar serve`: the proxy."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click

from proxy.cli.configuration import (
    Configuration,
    config_option,
    configured,
    json_option,
    with_ports,
)
from proxy.cli.events import OperatorLog
from proxy.cli.ledger_access import ledger_url, run_loop
from proxy.cli.output import show_json
from proxy.cli.paths import shortened
from proxy.cli.serving import Addresses, Server, serve_until_stopped
from proxy.cli.several import SeveralProcesses
from proxy.cli.single import SingleProcess
from proxy.telemetry.logs import make_log, take_over_logging

Started = Callable[[Server, Addresses], Awaitable[None]]
PORT_MAX = 65_535


@click.command()
@click.option("--port", type=click.IntRange(0, PORT_MAX), help="The gateway's. 0: any free one.")
@click.option("--admin-port", type=click.IntRange(0, PORT_MAX), help="The admin plane's.")
@click.option("--workers", type=click.IntRange(1, 256), help="Processes that share the port.")
@config_option
@json_option
def command(
    *,
    port: int | None,
    admin_port: int | None,
    workers: int | None,
    config: Path | None,
    as_json: bool,
) -> int:
    """Run the proxy.

    SIGTERM lets calls in flight end, a second one does not. SIGHUP loads the policies anew, as does
    any change of their files. When the ports are open, their addresses are printed; with --json as
    one line of JSON.
    """
    configuration = configured(config)
    settings = with_ports(configuration.settings, port, admin_port)
    if workers is not None:
        settings = settings.model_copy(update={"workers": workers})
    configuration = Configuration(
        settings=settings, rulebook=configuration.rulebook, environ=configuration.environ
    )

    async def started(server: Server, addresses: Addresses) -> None:
        if as_json:
            show_json(facts(server, addresses))
        else:
            for label, said in described(server, addresses):
                click.echo(f"  {click.style(f'{label:<10}', dim=True)} {said}")
        sys.stdout.flush()

    return serve(configuration, started)


def serve(configuration: Configuration, started: Started) -> int:
    """Serve until a signal says to stop; return the exit status."""
    settings = configuration.settings
    log = make_log(sys.stderr, level=settings.log.level, form=settings.log.format)
    take_over_logging(log)
    with ledger_url(settings) as url:
        kind = SingleProcess if settings.workers == 1 else SeveralProcesses

        async def work() -> int:
            server: Server = kind(configuration, url, log)
            return await serve_until_stopped(server, started, OperatorLog(log))

        return run_loop(work())


def facts(server: Server, addresses: Addresses) -> dict[str, Any]:
    """Return what was started, for programs."""
    settings, rulebook = server.configuration.settings, server.configuration.rulebook
    return {
        "gateway": addresses.gateway,
        "admin": addresses.admin,
        "providers": list(settings.providers),
        "teams": list(rulebook.teams),
        "budgets": list(rulebook.budgets),
        "workers": settings.workers,
        "data_dir": str(settings.data_dir),
    }


def described(server: Server, addresses: Addresses) -> list[tuple[str, str]]:
    """Return what was started, for people: labels and what they say."""
    settings, rulebook = server.configuration.settings, server.configuration.rulebook
    closed = "" if settings.admin.tokens else "  (API closed: no token in `admin: {tokens: …}`)"
    providers = ", ".join(settings.providers) or "none: every call is refused"
    embedded = "with an embedded Redis" if settings.ledger.url is None else "and Redis elsewhere"
    policies = (
        f"{_count(rulebook.teams, 'team')}, {_count(rulebook.budgets, 'budget')} "
        f"from {shortened(settings.policies)}"
    )
    lines = [
        ("gateway", addresses.gateway),
        ("admin", f"{addresses.admin}{closed}"),
        ("providers", providers),
        ("policies", policies),
        ("data", f"{shortened(settings.data_dir)} {embedded}"),
    ]
    return lines if settings.workers == 1 else [*lines, ("workers", str(settings.workers))]


def _count(things: Any, name: str) -> str:  # noqa: ANN401 - Whatever has a length.
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"
