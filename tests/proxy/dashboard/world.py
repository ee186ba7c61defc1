"""The dashboard on a real ledger and a real archive, behind the real admin plane, and a browser's requests."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import unescape
from typing import Any

import structlog
from aiohttp.test_utils import TestClient

from policies.clock import Clock
from policies.ledger.redis_ledger import RedisLedger
from policies.rulebook import Rulebook
from proxy.admin.access import Opening
from proxy.admin.plane import AdminPlane
from proxy.admin.schemas import (
    AsideRow,
    DriftRow,
    ExtraUsageRow,
    GhostRow,
    GhostSpend,
    Money,
    QuotaRow,
    ReceiptsRow,
    WalletRow,
)
from proxy.admin.services import Services
from proxy.archive.database import Database
from proxy.archive.reader import ArchiveReader
from proxy.archive.stream import read_row
from proxy.archive.writer import Writer
from proxy.dashboard.dashboard import Dashboard
from proxy.dashboard.sources import Commands, Sources
from proxy.grant_store import GrantStore
from proxy.key_store import KeyStore
from proxy.policy_watch import Rejected, Reloaded
from tests.proxy.dashboard.story import HTML, USD

ADMIN, VIEWER, RESEARCHER = "root-token", "viewer-token", "research-token"
TOKENS = (
    Opening(token=ADMIN, role="admin", name="ada"),
    Opening(token=VIEWER, role="viewer", name="vic"),
    Opening(token=RESEARCHER, role="viewer", name="rosa", teams=frozenset({"research"})),
    Opening(token="html-token", role="viewer", name=HTML, teams=frozenset({HTML})),
    Opening(token="old-token", role="admin", name="otto", expires_ms=1),
)


class FakeReceipts:
    """Receipts of one provider that bills a little differently, as they are set."""

    def __init__(self) -> None:
        self.rows: Sequence[ReceiptsRow] = (receipts_row(), quiet_receipts())
        self.runs = 0

    async def status(self) -> Sequence[ReceiptsRow]:
        return self.rows

    async def run_due(self, told: Callable[[Mapping[str, int]], None]) -> Mapping[str, int]:
        self.runs += 1
        told({"booked": 1})
        return {"booked": 2, "pending": 1}


class FakeWallets:
    """Accounts of two providers, as they are set."""

    def __init__(self) -> None:
        self.rows: Sequence[WalletRow] = wallet_rows()

    async def list(self) -> Sequence[WalletRow]:
        return self.rows


@dataclass
class World:
    """A running dashboard, and what its pages are made from."""

    services: Services
    sources: Sources
    plane: AdminPlane
    dashboard: Dashboard
    ledger: RedisLedger
    commands: Commands
    receipts: FakeReceipts
    wallets: FakeWallets
    logs: list[dict[str, Any]] = field(default_factory=list)

    async def archive(self) -> None:
        """Have the real writer archive what the journal has and the archive has not."""
        organization = self.services.rulebook().organization
        writer = Writer(self.services.database, organization, self.services.clock)
        chain = writer.chain()
        key = self.ledger.keys.journal
        rows = await self.commands.execute("XRANGE", key, f"({chain.stream_id}", "+")
        if rows:
            writer.write(chain, [read_row(row) for row in rows])

    async def acts(self, kind: str) -> list[dict[str, Any]]:
        """Return what the journal says of acts of a kind."""
        found, after = [], "-"
        while entries := await self.ledger.journal(after=after, count_max=1_000):
            found += [json.loads(entry.data) for entry in entries if entry.kind == kind]
            after = entries[-1].id
        return found


def make_world(
    *,
    ledger: RedisLedger,
    commands: Commands,
    clock: Clock,
    database: Database,
    rulebook: Callable[[], Rulebook],
    live_every_s: float = 0.02,
    tokens: Sequence[Opening] = TOKENS,
) -> World:
    """Return a dashboard on its admin plane; nothing listens yet."""
    receipts, wallets = FakeReceipts(), FakeWallets()
    logs: list[dict[str, Any]] = []

    async def reload() -> Reloaded | Rejected:
        return Reloaded(version="1", changes=())

    def keep(_: Any, __: str, event: Any) -> Any:
        logs.append(dict(event))
        raise structlog.DropEvent

    services = Services(
        ledger=ledger,
        archive=ArchiveReader(database, rulebook().organization),
        database=database,
        grants=GrantStore(commands, ledger.keys, ledger.now_ms),
        keys=KeyStore(commands, ledger.keys, clock),
        receipts=receipts,
        wallets=wallets,
        clock=clock,
        providers={"agipower": "agipower", "venice": "venice"},
        rulebook=rulebook,
        reload_policies=reload,
        metrics=lambda: b"bursar_numbers 1\n",
        ping=ledger.synchronise,
        obstacles=list,
    )
    log = structlog.wrap_logger(None, processors=[keep], wrapper_class=structlog.BoundLogger)
    plane = AdminPlane(services, tokens, log)
    sources = Sources(
        services=services,
        tokens=plane.tokens,
        attempts=plane.attempts,
        commands=commands,
        prefix=ledger.keys.prefix,
    )
    dashboard = Dashboard(sources, log, live_every_s=live_every_s)
    dashboard.add_to(plane.application)
    return World(
        services=services,
        sources=sources,
        plane=plane,
        dashboard=dashboard,
        ledger=ledger,
        commands=commands,
        receipts=receipts,
        wallets=wallets,
        logs=logs,
    )


@dataclass
class Answer:
    """What a browser got."""

    status: int
    headers: Mapping[str, str]
    #: A failing test shows enough without a whole page.
    text: str = field(repr=False)
    cookies: Sequence[str] = ()

    def hidden(self, name: str, within: str = "") -> str:
        """Return a hidden field's value; `within`: of the form with this in its action."""
        text = self.text
        if within:
            text = text[text.index(f'action="{within}"') :]
        found = re.search(rf'<input type="hidden" name="{name}" value="([^"]*)"', text)
        assert found is not None, f"no hidden field {name}"
        return unescape(found[1])


class Browser:
    """A client with cookies, which fills forms in as a person would."""

    def __init__(self, client: TestClient[Any, Any]) -> None:
        self.client = client

    async def get(self, path: str, **headers: str) -> Answer:
        async with self.client.get(path, headers=headers, allow_redirects=False) as answer:
            return Answer(answer.status, answer.headers, await answer.text())

    async def post(
        self, path: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> Answer:
        async with self.client.post(
            path, data=dict(fields), headers=headers, allow_redirects=False
        ) as answer:
            cookies = answer.headers.getall("Set-Cookie", [])
            return Answer(answer.status, answer.headers, await answer.text(), cookies)

    async def sign_in(self, token: str = ADMIN, wanted: str = "/") -> Answer:
        form = await self.get(f"/sign-in?next={wanted}")
        fields = {"csrf": form.hidden("csrf"), "next": form.hidden("next"), "token": token}
        return await self.post("/sign-in", fields)

    async def send(self, page: str, action: str, fields: Mapping[str, str]) -> Answer:
        """Load a page, fill in one of its forms and send it."""
        shown = await self.get(page)
        hidden = {"csrf": shown.hidden("csrf", action)}
        form = shown.text[shown.text.index(f'action="{action}"') :]
        form = form[: form.index("</form>")]
        for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form):
            hidden[name] = unescape(value)
        return await self.post(action, {**hidden, **fields})


def receipts_row() -> ReceiptsRow:
    """A provider that bills one model above the price list."""

    def drift(model: str, metered: int, billed: int) -> DriftRow:
        return DriftRow(
            day="2026-11-22",
            model=model,
            receipted=420,
            receipted_amount=Money.of(billed),
            given_up=2,
            never=0,
            without_receipt_percent=0.4,
            compared=410,
            metered=Money.of(metered),
            billed=Money.of(billed),
            difference=Money.of(billed - metered),
            difference_percent=None,
        )

    ghost = GhostRow(
        id="ghost_1",
        call_id="ghost_agipower_1",
        kind="row",
        at="2026-11-21T09:12:00Z",
        amount=Money.of(4_210_000_000),
        credits={},
        calls=1,
        detail={"model": "openai/gpt-5", "id": "gen-unknown-77"},
    )
    return ReceiptsRow(
        provider="agipower",
        never=None,
        waiting=31,
        due=4,
        slowed_until=None,
        days=7,
        receipted=4_182,
        given_up=6,
        never_comes=0,
        set_aside=[AsideRow(call_id="call_0123", reason="the amount is negative")],
        ghost_spend=GhostSpend(calls=1, amount=Money.of(4_210_000_000), items=[ghost]),
        drift=[
            drift("anthropic/claude-opus-4.5", 310 * USD, 338 * USD),
            drift("openai/gpt-5-mini", 41 * USD, 41 * USD + 80_000_000),
            drift("google/gemini-3-pro", 96 * USD, 91 * USD),
        ],
        extra_usage=[
            ExtraUsageRow(
                day="2026-11-20", model="openai/gpt-5", amount=Money.of(12 * USD), calls=40
            )
        ],
    )


def quiet_receipts() -> ReceiptsRow:
    """A provider of which nothing came yet."""
    return ReceiptsRow(
        provider="venice",
        never=None,
        waiting=0,
        due=0,
        slowed_until=None,
        days=7,
        receipted=0,
        given_up=0,
        never_comes=0,
        set_aside=[],
        ghost_spend=GhostSpend(calls=0, amount=Money.of(0), items=[]),
        drift=[],
        extra_usage=[],
    )


def wallet_rows() -> Sequence[WalletRow]:
    """A subscription with three quotas, one of them low, and an account that is not asked."""

    def money(nano: int) -> dict[str, int | str]:
        return {"nano": nano * USD, "amount": str(nano)}

    def quota(name: str, limit: int, remaining: int, resets: str) -> QuotaRow:
        return QuotaRow(
            name=name,
            unit="flows",
            limit=money(limit),
            remaining=money(remaining),
            resets_at=resets,
            closed=None,
            reported_at="2026-11-23T12:59:10Z",
            stale=False,
            spent=money(3),
            reserved=money(1),
        )

    return (
        WalletRow(
            provider="agipower",
            never=None,
            account_status="healthy",
            closed=None,
            polled_at="2026-11-23T12:59:10Z",
            next_poll_at="2026-11-23T13:00:10Z",
            faults={},
            quotas=[
                quota("quota_5_hour", 800, 612, "2026-11-23T15:20:00Z"),
                quota("quota_7_day", 6_000, 420, "2026-11-26T08:00:00Z"),
                quota("quota_monthly", 20_000, 9_210, "2026-12-01T00:00:00Z"),
            ],
        ),
        WalletRow(
            provider="venice",
            never="no key of it may ask: set billing_key",
            account_status=None,
            closed=None,
            polled_at=None,
            next_poll_at=None,
            faults={},
            quotas=[],
        ),
    )


def without_tokens(world: World) -> Sources:
    """Return the same sources, with nobody who may sign in."""
    plane = AdminPlane(world.services, (), structlog.wrap_logger(structlog.ReturnLogger()))
    return replace(world.sources, tokens=plane.tokens)
