"""`bursar simulate-provider`: the simulated provider alone."""

from __future__ import annotations

import asyncio
import secrets
import signal
import sys
from typing import Final

import click

from policies.clock import SystemClock
from proxy.cli.ledger_access import run_loop
from proxy.cli.listening import unusable, url
from proxy.cli.output import show_json
from proxy.simulator.server import Simulator

PORT_DEFAULT: Final = 9_090
PORT_MAX: Final = 65_535
_MS_PER_S: Final = 1_000


def new_simulator(billed_after_s: float | None = None) -> Simulator:
    """Return a simulated provider whose ids differ from those of every other one."""
    clock = SystemClock()
    return Simulator(
        clock=lambda: clock.now_ms() / _MS_PER_S,
        random_seed=secrets.randbits(64),
        billed_after_s=billed_after_s,
    )


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, PORT_MAX), default=PORT_DEFAULT, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the address as JSON.")
def command(*, host: str, port: int, as_json: bool) -> None:
    """Run the simulated provider alone, until Ctrl-C."""
    run_loop(_simulate(host, port, as_json=as_json))


async def _simulate(host: str, port: int, *, as_json: bool) -> None:
    simulator, stopping = new_simulator(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    try:
        address = url(host, await simulator.start(host, port))
    except OSError as error:
        await simulator.stop()
        raise unusable(host, port, error) from error
    if as_json:
        show_json({"provider": address})
    else:
        click.echo(f"provider {address}")
    sys.stdout.flush()
    await stopping.wait()
    await simulator.stop()
