"""`bursar demo`: the proxy, a simulated provider and sample policies; nothing in it costs money."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click
from structlog.typing import FilteringBoundLogger

from proxy.cli.configuration import Configuration, configured, json_option
from proxy.cli.demo_examples import examples
from proxy.cli.demo_folder import DemoFolder, Secrets
from proxy.cli.events import OperatorLog
from proxy.cli.ledger_access import ledger_url, run_loop
from proxy.cli.listening import free_port, url
from proxy.cli.output import show_json
from proxy.cli.paths import shortened
from proxy.cli.serving import Addresses, Server, serve_until_stopped
from proxy.cli.simulate_provider import PORT_DEFAULT as PROVIDER_PORT
from proxy.cli.simulate_provider import PORT_MAX, new_simulator
from proxy.cli.single import SingleProcess
from proxy.key_store import judge
from proxy.keys import Valid
from proxy.policy_watch import Rejected, Reloaded
from proxy.telemetry.logs import make_log, take_over_logging

HOST: Final = "127.0.0.1"
TEAMS: Final = ("research", "support", "interns")
#: When the simulated provider knows what a call has cost.
BILLED_AFTER_S: Final = 1.0


class Demo:
    """A proxy and the provider that it forwards to."""

    def __init__(
        self,
        configuration: Configuration,
        ledger_url: str,
        provider_port: int,
        log: FilteringBoundLogger,
    ) -> None:
        # Of calls and prices only what is wrong: the screen is for examples.
        quiet = make_log(sys.stderr, level="warning")
        self._proxy = SingleProcess(configuration, ledger_url, log, calls_log=quiet)
        self._simulator = new_simulator(BILLED_AFTER_S)
        self._provider_port = provider_port
        self.configuration = configuration
        self.key_store = self._proxy.key_store
        self.clock = self._proxy.clock

    async def start(self) -> Addresses:
        """Start the provider first: the proxy asks it for prices."""
        await self._simulator.start(HOST, self._provider_port)
        return await self._proxy.start()

    async def reload(self) -> Reloaded | Rejected:
        """Load the policies anew."""
        return await self._proxy.reload()

    async def stop(self) -> None:
        """Stop the proxy, then the provider."""
        await self._proxy.stop()
        await self._simulator.stop()

    def kill(self) -> None:
        """There are no other processes."""


@click.command()
@click.option("--port", type=click.IntRange(0, PORT_MAX), default=8080, show_default=True)
@click.option("--admin-port", type=click.IntRange(0, PORT_MAX), default=8081, show_default=True)
@click.option(
    "--provider-port", type=click.IntRange(0, PORT_MAX), default=PROVIDER_PORT, show_default=True
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("var/demo"),
    show_default=True,
    help="Everything is kept here, keys too; delete it to begin anew.",
)
@json_option
def command(
    *, port: int, admin_port: int, provider_port: int, data_dir: Path, as_json: bool
) -> int:
    """Run the proxy with a simulated provider and sample policies.

    Prints keys, and examples to be copied. Ctrl-C stops everything.
    """
    folder = DemoFolder(data_dir)
    provider_port = free_port(HOST, provider_port)
    provider = url(HOST, provider_port)
    known = folder.prepare(port=port, admin_port=admin_port, provider=provider)
    configuration = configured(folder.configuration)

    async def started(server: Server, addresses: Addresses) -> None:
        await _make_keys(server, known)
        folder.keep(known)
        if as_json:
            show_json(_facts(addresses, provider, known, folder))
        else:
            _print(addresses, provider, known, folder)
        sys.stdout.flush()

    settings = configuration.settings
    log = make_log(sys.stderr, level=settings.log.level, form=settings.log.format)
    take_over_logging(log)
    with ledger_url(settings) as ledger:

        async def work() -> int:
            server = Demo(configuration, ledger, provider_port, log)
            return await serve_until_stopped(server, started, OperatorLog(log))

        return run_loop(work())


async def _make_keys(server: Server, known: Secrets) -> None:
    """See that there is a good key for each team; those of an earlier start go on being good."""
    records = {record.id: record for record in await server.key_store.list()}
    now_ms = server.clock.now_ms()
    for team in TEAMS:
        key_id, _ = known.keys.get(team, ("", ""))
        record = records.get(key_id)
        if record is None or not isinstance(judge(record, now_ms), Valid):
            user = "alice" if team == "research" else None
            record, secret = await server.key_store.create(team, user, "demo", actor="demo")
            known.keys[team] = (record.id, secret)


def _facts(
    addresses: Addresses, provider: str, known: Secrets, folder: DemoFolder
) -> dict[str, object]:
    """Return what was started, for programs."""
    return {
        "gateway": addresses.gateway,
        "admin": addresses.admin,
        "provider": provider,
        "admin_token": known.admin_token,
        "keys": {team: {"id": key_id, "key": key} for team, (key_id, key) in known.keys.items()},
        "config": str(folder.configuration),
        "data_dir": str(folder.path),
    }


def _print(addresses: Addresses, provider: str, known: Secrets, folder: DemoFolder) -> None:
    """Print what was started, for people; examples are flush left, so that they can be pasted."""
    keys = {team: secret for team, (_, secret) in known.keys.items()}
    lines = [
        ("gateway", addresses.gateway),
        ("admin", f"{addresses.admin}  token {known.admin_token}"),
        ("provider", f"{provider}  simulated: nothing here costs money"),
        ("policies", f"{shortened(folder.policies)}  change it: it is loaded when you save"),
        *((f"key of {team}", key) for team, key in keys.items()),
    ]
    click.echo(click.style("Bursar demo", bold=True))
    for label, said in lines:
        click.echo(f"  {click.style(f'{label:<16}', dim=True)} {said}")
    for example in examples(
        gateway=addresses.gateway,
        admin=addresses.admin,
        admin_token=known.admin_token,
        configuration=shortened(folder.configuration),
        **keys,
    ):
        click.echo(f"\n{click.style(f'# {example.title}', fg='cyan')}\n{example.text}")
    click.echo(f"\n{click.style('Ctrl-C stops everything.', bold=True)}\n")
