"""What a worker may spend on its own while the ledger is away: bounded, per budget, never guessed."""

from __future__ import annotations

from collections.abc import Sequence

from policies.budgets import Budget


class Allowance:
    """Counts what was admitted without the ledger; a budget's allowance is in nano-dollars."""

    def __init__(self) -> None:
        self._used: dict[str, int] = {}
        self._taken: dict[str, tuple[tuple[str, ...], int]] = {}

    @property
    def used_nano_usd(self) -> int:
        """The most that was taken of one budget's allowance."""
        return max(self._used.values(), default=0)

    def take(self, call_id: str, budgets: Sequence[Budget], nano_usd: int) -> bool:
        """Take a call's bound out of every budget's allowance, or out of none.

        A call that no budget counts is not admitted: nothing would ever record it.
        """
        if not budgets:
            return False
        for budget in budgets:
            allowed = budget.when_ledger_down_nano_usd
            if allowed is None or self._used.get(budget.name, 0) + nano_usd > allowed:
                return False
        names = tuple(budget.name for budget in budgets)
        for name in names:
            self._used[name] = self._used.get(name, 0) + nano_usd
        self._taken[call_id] = (names, nano_usd)
        return True

    def correct(self, call_id: str, nano_usd: int) -> None:
        """Replace what a call took by what it came to."""
        taken = self._taken.pop(call_id, None)
        if taken is None:
            return
        names, was = taken
        for name in names:
            self._used[name] = self._used.get(name, 0) + nano_usd - was

    def reset(self) -> None:
        """Begin anew: everything that was taken is in the ledger now, or still in flight."""
        self._used.clear()
        for names, nano_usd in self._taken.values():
            for name in names:
                self._used[name] = self._used.get(name, 0) + nano_usd
