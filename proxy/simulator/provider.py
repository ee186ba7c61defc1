"""The state of the simulated provider, which every operation shares."""

from collections.abc import Callable
from typing import Final

from proxy.simulator.account import Account
from proxy.simulator.paths import Flavour
from proxy.simulator.scenario import Scenario, Script
from proxy.simulator.stored_responses import StoredResponses
from proxy.simulator.truth import Call, Truth

#: When billing is known, in seconds after the call: AGIPower documents 3 to 5 minutes, OpenRouter
#: and Vercel "shortly"; Venice documents nothing.
_BILLED_AFTER_S: Final = {
    Flavour.AGIPOWER: 180.0,
    Flavour.VENICE: 60.0,
    Flavour.OPENROUTER: 2.0,
    Flavour.VERCEL: 2.0,
}


class Provider:
    """Clock, script, account, stored responses and the truth about all calls."""

    def __init__(
        self, *, clock: Callable[[], float], random_seed: int, billed_after_s: float | None
    ) -> None:
        self.clock = clock
        self.random_seed = random_seed
        self.script = Script()
        self.account = Account(clock)
        self.truth = Truth(clock)
        self.stored = StoredResponses(clock)
        #: Set once, so that answers which hang let go.
        self.is_stopping = False
        self._billed_after_s = billed_after_s

    def adopt(self, scenario: Scenario) -> None:
        """Queue a scenario's answers and put its account settings in force."""
        self.account.adopt(scenario)
        if scenario.changes_answers or scenario.times is not None:
            self.script.add(scenario)

    def reset_scenarios(self) -> None:
        """Forget the script, and restore the account."""
        self.script.clear()
        self.account.restore()

    def billed_at(self, call: Call) -> float | None:
        """When the billing of a call becomes known; None if it never does."""
        scenario = call.scenario
        if scenario.never_billed or call.bill_type == "subscription":
            return None
        delay_s = scenario.billed_after_s
        if delay_s is None:
            delay_s = self._billed_after_s
        if delay_s is None:
            delay_s = _BILLED_AFTER_S.get(Flavour(call.flavour), 0.0)
        return call.at + delay_s
