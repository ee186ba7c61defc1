"""`bursar run`: a program whose LLM calls have a budget, without any change to it."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal, TextIO

import click
from structlog.typing import FilteringBoundLogger

from policies.budgets import Budget, Scope
from policies.clock import SystemClock
from policies.decisions import Standing
from policies.errors import LedgerUnavailable
from policies.ledger.interface import Ask
from policies.rulebook import Rulebook, Team
from policies.texts import suggestion
from policies.units import USD, amount_text, parse_limit
from policies.windows import Window, parse_window
from proxy.app import Application
from proxy.cli.configuration import config_option, json_option
from proxy.cli.ledger_access import open_ledger, run_loop
from proxy.cli.listening import url
from proxy.cli.output import note, progress
from proxy.cli.program import NotRunnable, run_program
from proxy.cli.run_variables import program_environ, providers_from, routes_between
from proxy.cli.tally import Tally
from proxy.embedded_redis import EmbeddedRedis, socket_path
from proxy.settings import RouteSettings, Settings, environment, load_settings
from proxy.standing_rows import standing_row
from proxy.tasks import Tasks
from proxy.telemetry.logs import make_log, take_over_logging
from proxy.telemetry.metrics import Metrics

#: Team, budget and key of a private gateway.
NAME: Final = "run"
HOST: Final = "127.0.0.1"
# Redis writes its last lines; a folder that vanished under it would be an error in a log.
REDIS_GONE_S: Final = 5.0
POLL_S: Final = 0.01
#: Whoever waits longer for the last calls than this wants to know why.
PATIENCE_S: Final = 1.0
WAITING: Final = "bursar run: waiting for the last calls to be settled (Ctrl-C leaves them)"


class Limit(click.ParamType[tuple[str, int]]):
    """An amount such as `5 USD`: its unit, and the amount in it."""

    name = "amount"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """Return unit and amount."""
        try:
            return value if isinstance(value, tuple) else parse_limit(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Span(click.ParamType[Window]):
    """A window such as `day` or `rolling 5h`."""

    name = "window"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Window:
        """Return the window."""
        try:
            return parse_window(str(value), "UTC")
        except ValueError as error:
            self.fail(str(error), param, ctx)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be run, and under what."""

    program: Sequence[str]
    environ: dict[str, str]
    settings: Settings
    budget: Budget
    #: A shared ledger keeps this run apart from everything else by it.
    organization: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How it went."""

    status: int
    #: None: the ledger did not answer any more.
    standing: Standing | None
    tally: Tally


@click.command(context_settings={"allow_interspersed_args": False})
@click.option(
    "--budget", "limit", type=Limit(), required=True, metavar="'5 USD'", help="The limit."
)
@click.option("--window", type=Span(), default="lifetime", show_default=True, metavar="WINDOW")
@click.option("--provider", metavar="NAME", help="The provider of all calls.")
@click.option(
    "--when-short",
    type=click.Choice(["refuse", "clamp"]),
    default="refuse",
    show_default=True,
    help="A call that does not fit: refuse it, or lower its output limit to what fits.",
)
@click.option(
    "--when-unpriced",
    type=Limit(),
    metavar="'1 USD'",
    help="Reserve this for a call whose price is not known. Default: refuse it.",
)
@click.option("-v", "--verbose", is_flag=True, help="Log to standard error.")
@click.option("--log-file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@config_option
@json_option
@click.argument("program", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD…")
def command(
    *,
    limit: tuple[str, int],
    window: Window,
    provider: str | None,
    when_short: Literal["refuse", "clamp"],
    when_unpriced: tuple[str, int] | None,
    config: Path | None,
    program: tuple[str, ...],
    **output: Any,  # noqa: ANN401 - Where is logged, and how is summed up.
) -> int:
    """Run a program whose LLM calls have a budget.

    It talks to a private gateway: the variables by which SDKs find their base URL and key are set
    for it. Providers are those of the configuration, else those whose keys are in the environment.
    The exit status is the program's; what was spent is printed at the end, on standard error.
    """
    environ = environment()
    settings = _settings(load_settings(config, environ), environ, provider)
    budget = Budget(
        name=NAME,
        scope=Scope(team=NAME),
        unit=limit[0],
        limit=limit[1],
        window=window,
        when_short=when_short,
        when_unpriced_nano_usd=_in_usd(when_unpriced),
    )
    with ExitStack() as held:
        plan = Plan(
            program=program,
            environ=environ,
            settings=settings,
            budget=budget,
            organization=f"{NAME}-{secrets.token_hex(8)}",
        )
        stream = held.enter_context(_log_stream(output["log_file"], verbose=output["verbose"]))
        log = make_log(stream, level=settings.log.level, form=settings.log.format)
        take_over_logging(log)
        try:
            outcome = _run_beside_ledger(plan, log)
        except NotRunnable as error:
            note(f"bursar run: {error}")
            return error.status
    note(_summary_json(outcome) if output["as_json"] else _summary(outcome))
    return outcome.status


def _settings(settings: Settings, environ: dict[str, str], provider: str | None) -> Settings:
    """Return the settings of the private gateway: providers, and routes between them."""
    providers, routes = settings.providers, settings.routes
    if not providers:
        providers = providers_from(environ)
        routes = routes_between(providers)
    if not providers:
        raise click.UsageError(
            "there is no provider: set OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY or "
            "OPENROUTER_API_KEY, or write `providers` into bursar.yaml"
        )
    if provider is not None:
        if provider not in providers:
            raise click.UsageError(
                f"'{provider}' is not a provider: {suggestion(provider, providers)}"
            )
        routes = (RouteSettings(provider=provider),)
    return settings.model_copy(update={"providers": providers, "routes": routes})


def _in_usd(amount: tuple[str, int] | None) -> int | None:
    if amount is not None and amount[0] != USD:
        raise click.UsageError("--when-unpriced is an amount of USD, such as '1 USD'")
    return None if amount is None else amount[1]


@contextmanager
def _log_stream(file: Path | None, *, verbose: bool) -> Iterator[TextIO]:
    """Give where is logged: the terminal belongs to the program."""
    if verbose:
        yield sys.stderr
        return
    with Path(file or os.devnull).open("a", encoding="utf-8") as stream:
        yield stream


# A ledger of its own, unless the configuration names one…


def _run_beside_ledger(plan: Plan, log: FilteringBoundLogger) -> Outcome:
    if plan.settings.ledger.url is not None:
        return run_loop(_run(plan, plan.settings, plan.settings.ledger.url, log))
    with TemporaryDirectory(prefix="bursar-run-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        server = EmbeddedRedis(folder / "redis")
        settings = plan.settings.model_copy(update={"data_dir": folder})
        try:
            with progress("starting a ledger…"):
                address = server.start()
            return run_loop(_run(plan, settings, address, log))
        finally:
            server.stop()
            _wait_until_gone(socket_path(folder / "redis"))


def _wait_until_gone(path: Path) -> None:
    """Wait until the embedded Redis has removed its socket: then it has written its last."""
    deadline_s = time.monotonic() + REDIS_GONE_S
    while path.exists() and time.monotonic() < deadline_s:
        time.sleep(POLL_S)


async def _run(
    plan: Plan, settings: Settings, ledger_url: str, log: FilteringBoundLogger
) -> Outcome:
    clock = SystemClock()
    tally = Tally(Metrics(clock), log)
    application = Application(
        settings, _rulebook(plan), ledger_url=ledger_url, clock=clock, watch=tally
    )
    try:
        with progress("starting a private gateway…"):
            await application.start()
            port = await application.listen(HOST, 0)
            _, key = await application.key_store.create(NAME, name="bursar run")
        environ = program_environ(
            plan.environ, gateway=url(HOST, port), key=key, providers=settings.providers
        )
        status = await run_program(plan.program, environ)
    finally:
        await _stop(application)
    standing = await _standing(plan, settings, ledger_url)
    return Outcome(status=status, standing=standing, tally=tally)


async def _standing(plan: Plan, settings: Settings, ledger_url: str) -> Standing | None:
    """Return how the budget stands; the program's status counts even if nobody can tell."""
    ask = Ask(budget=plan.budget, subject="", held=0, bound=0)
    try:
        async with open_ledger(ledger_url, settings, plan.organization) as access:
            (standing,) = await access.ledger.standings([ask])
    except LedgerUnavailable:
        return None
    return standing


def _rulebook(plan: Plan) -> Rulebook:
    """Return the policies of a private gateway: one team that may do everything, one budget."""
    team = Team(name=NAME, accept=frozenset({"user", "session", "tags"}))
    return Rulebook(organization=plan.organization, teams={NAME: team}, budgets={NAME: plan.budget})


async def _stop(application: Application) -> None:
    """Let the last calls end; say so when that takes its time, and leave them when asked to."""
    loop, tasks, impatient = asyncio.get_running_loop(), Tasks(), asyncio.Event()
    said = loop.call_later(PATIENCE_S, note, WAITING)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, impatient.set)
    ends = [tasks.run(application.stop()), tasks.run(impatient.wait())]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    said.cancel()
    if ends[0].done():
        await ends[0]
    await tasks.close()


# What is said at the end…


def _summary(outcome: Outcome) -> str:
    tally = outcome.tally
    calls = f"{tally.admissions} call{'' if tally.admissions == 1 else 's'}"
    said = f"bursar run: {_spent(outcome.standing)} in {calls}, {tally.refusals} refused"
    if outcome.standing is not None:
        said += f"; {_left(outcome.standing)}"
    others = ", ".join(f"{count} {reason}" for reason, count in tally.others.items())
    return f"{said} (and failed: {others})" if others else said


def _spent(standing: Standing | None) -> str:
    if standing is None:
        return "the ledger does not answer, so what was spent is not known,"
    spent = amount_text(standing.unit, standing.spent)
    return f"spent {spent} of {amount_text(standing.unit, standing.limit)}"


def _left(standing: Standing) -> str:
    left = f"{amount_text(standing.unit, standing.remaining)} left"
    if not standing.reserved:
        return left
    return f"{left}, {amount_text(standing.unit, standing.reserved)} still reserved"


def _summary_json(outcome: Outcome) -> str:
    standing = outcome.standing
    return json.dumps(
        {
            "status": outcome.status,
            "calls": outcome.tally.admissions,
            "refused": outcome.tally.refusals,
            "failed": dict(outcome.tally.others),
            "budget": standing_row(standing) if standing is not None else None,
        }
    )
