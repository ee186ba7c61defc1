"""An organisation's month, told to a real ledger: who called what, what it cost, who was refused."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

from policies.budgets import Budget, Caller, Scope
from policies.call_ids import new_call_id
from policies.decisions import Admitted
from policies.ledger.interface import Admission, Ask
from policies.ledger.redis_ledger import RedisLedger
from policies.reservations import Reservation
from policies.rulebook import Rulebook, Rules, Team
from policies.units import Amounts
from policies.windows import Calendar, Lifetime, Rolling
from tests.doubles.fake_clock import FakeClock

USD = 1_000_000_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
#: What somebody may call a team, and what must never become markup.
HTML = "<script>alert(1)</script>"
#: Models with their provider, and dollars per million of input and output tokens.
MODELS: dict[str, tuple[str, float, float]] = {
    "anthropic/claude-opus-4.5": ("agipower", 5, 25),
    "openai/gpt-5-mini": ("agipower", 0.25, 2),
    "google/gemini-3-pro": ("agipower", 2, 12),
    "venice/qwen3-235b": ("venice", 0.9, 4.5),
}
CALLERS = (
    ("research", "alice", "key_alice000000000"),
    ("research", "bob", "key_bob00000000000"),
    ("support", None, "key_support0000000"),
    ("interns", "kim", "key_interns0000000"),
    (HTML, None, "key_html0000000000"),
)


def rules(organization: str) -> Rulebook:
    """The demo's budgets, and a team whose name is markup."""
    budgets = [
        Budget(
            name="company", unit="USD", limit=1_400 * USD, window=Calendar("month", "Europe/Berlin")
        ),
        Budget(
            name="research",
            scope=Scope(team="research"),
            unit="USD",
            limit=900 * USD,
            window=Calendar("month"),
        ),
        Budget(
            name="research-each",
            scope=Scope(team="research"),
            each="user",
            unit="USD",
            limit=40 * USD,
            window=Calendar("day"),
        ),
        Budget(
            name="opus-tokens",
            scope=Scope(models=("*opus*",)),
            unit="tokens",
            limit=2_000_000,
            window=Rolling(5 * HOUR_MS),
        ),
        Budget(
            name="trial",
            scope=Scope(team="support"),
            unit="USD",
            limit=50 * USD,
            window=Lifetime(),
            mode="shadow",
        ),
        Budget(
            name="interns",
            scope=Scope(team="interns"),
            unit="USD",
            limit=2 * USD,
            window=Calendar("day"),
        ),
    ]
    teams = {
        "research": Team(name="research", members=frozenset({"alice", "bob"})),
        "support": Team(name="support"),
        "interns": Team(name="interns"),
        HTML: Team(name=HTML),
    }
    return Rulebook(
        organization=organization,
        teams=teams,
        budgets={budget.name: budget for budget in budgets},
    )


@dataclass(frozen=True)
class Call:
    """One call of the story."""

    call_id: str
    rules: Rules
    model: str
    data: dict[str, Any]
    cost: Amounts
    held: Amounts


class Story:
    """Tells calls to a ledger, each as the gateway and the receipts' desk would."""

    def __init__(
        self, ledger: RedisLedger, clock: FakeClock, rulebook: Rulebook, seed: int = 7
    ) -> None:
        self.ledger = ledger
        self.clock = clock
        self.rulebook = rulebook
        self.random = random.Random(seed)

    async def month(self, calls: int, days: int = 22) -> None:
        """Tell calls that are spread over the last days, and end at the present."""
        end_ms = self.clock.now_ms()
        moments = sorted(self._moment(end_ms, days) for _ in range(calls))
        waiting: list[tuple[int, Call, Reservation]] = []
        for at_ms in moments:
            while waiting and waiting[0][0] + 20 * 60_000 < at_ms:
                await self._receipt(*waiting.pop(0))
            self.clock.advance(at_ms - self.clock.now_ms())
            reservation, call = await self.one()
            if reservation is not None:
                waiting.append((self.clock.now_ms(), call, reservation))
        self.clock.advance(end_ms - self.clock.now_ms())

    async def one(self, *, ends: bool = True, **chosen: Any) -> tuple[Reservation | None, Call]:
        """Tell one call; return its reservation if a receipt may come."""
        call = self._call(**chosen)
        asks = [
            Ask(
                budget=budget,
                subject=subject,
                held=call.held.of(budget.unit),
                bound=call.held.of(budget.unit),
            )
            for budget, subject in call.rules.budgets
        ]
        decision = await self.ledger.reserve(
            call.call_id, asks, data=json.dumps(call.data), admission=Admission.DECIDE
        )
        if not isinstance(decision, Admitted) or not ends:
            return None, call
        self.clock.advance(self.random.randrange(400, 30_000))
        fate = self.random.random()
        if fate < 0.03:
            await self.ledger.release(decision.reservation, outcome='{"status":429}')
            return None, call
        if fate < 0.045:
            await self.ledger.expire(decision.reservation)
            return decision.reservation, call
        await self.ledger.settle(
            decision.reservation, call.cost, outcome=json.dumps(_outcome(call))
        )
        return decision.reservation, call

    async def _receipt(self, at_ms: int, call: Call, reservation: Reservation) -> None:
        del at_ms
        if self.random.random() < 0.02:
            reason = json.dumps({"reason": "the provider did not tell in a day"})
            await self.ledger.give_up(reservation, outcome=reason)
            return
        drift = 1.09 if "opus" in call.model else 0.985 if "qwen" in call.model else 1.002
        billed = int(call.cost.nano_usd * drift)
        said = {
            "source": "look-up",
            "nano_usd": billed,
            "currency": "USD",
            "id": _generation(call.call_id),
            "settled_nano_usd": call.cost.nano_usd,
        }
        await self.ledger.receipt(
            reservation,
            Amounts(nano_usd=billed),
            outcome=json.dumps(said),
            keep=("tokens", "input tokens", "output tokens"),
        )

    def _moment(self, end_ms: int, days: int) -> int:
        """Return a time of a working day, mostly."""
        while True:
            at_ms = end_ms - self.random.randrange(days * DAY_MS)
            weekday = (at_ms // DAY_MS + 3) % 7
            hour = at_ms // HOUR_MS % 24
            if self.random.random() < (0.9 if 7 <= hour < 19 else 0.12) * (
                1 if weekday < 5 else 0.15
            ):
                return at_ms

    def _call(self, **chosen: Any) -> Call:
        team, user, key = (
            chosen.get("caller") or self.random.choices(CALLERS, weights=(40, 25, 20, 12, 3))[0]
        )
        model = (
            chosen.get("model") or self.random.choices(list(MODELS), weights=(30, 40, 18, 12))[0]
        )
        provider, input_price, output_price = MODELS[model]
        taken = int(self.random.lognormvariate(11, 0.8))
        made = int(self.random.lognormvariate(9.2, 0.7))
        nano = int((taken * input_price + made * output_price) * 1_000)
        cost = Amounts(nano_usd=nano, input_tokens=taken, output_tokens=made)
        bound = Amounts(nano_usd=int(nano * 1.7), input_tokens=taken, output_tokens=made * 2)
        now_ms = self.ledger.now_ms()
        caller = Caller(key_id=key, team=team, user=user)
        rules = self.rulebook.rules_for(caller, model, provider)
        assert isinstance(rules, Rules)
        data: dict[str, Any] = {
            "team": team,
            "user": user,
            "key": key,
            "session": None,
            "tags": {},
            "provider": provider,
            "model": model,
            "dialect": "chat_completions",
            "streamed": True,
            "body_bytes": taken * 4,
            "changes": [],
            "quote": {
                "nano_usd": bound.nano_usd,
                "bound_nano_usd": bound.nano_usd,
                "input_tokens": taken,
                "output_tokens": made * 2,
                "kind": "bound",
                "price": {"source": "config", "version": "1"},
            },
        }
        return Call(
            call_id=new_call_id(now_ms),
            rules=rules,
            model=model,
            data=data,
            cost=cost,
            held=bound,
        )


def _outcome(call: Call) -> dict[str, Any]:
    usage = {"input_tokens": call.cost.input_tokens, "output_tokens": call.cost.output_tokens}
    return {
        "status": 200,
        "certainty": "exact",
        "nano_usd": call.cost.nano_usd,
        "usage": [{"model": call.model, **usage}],
        "model": call.model,
        "service_tier": None,
        "finish": "stop",
        "generation_ids": [_generation(call.call_id)],
    }


def _generation(call_id: str) -> str:
    return f"gen-{call_id[-12:]}"
