"""What must hold after whatever happened: the books are closed, and the proxy still serves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from policies.journal import Entry
from tests.doubles.running import Running
from tests.doubles.waiting import until

#: Events of the log that only a fault of ours produces.
FAULTS = frozenset({"call_failed", "background_task_failed", "settlement_not_kept"})


async def journal(bursar: Running) -> Sequence[Entry]:
    """Return everything that was journalled about calls."""
    return [entry for entry in await bursar.app.ledger.journal(count_max=10_000) if entry.call_id]


async def kinds(bursar: Running) -> Counter[str]:
    """Return how often each kind of entry about calls stands in the journal."""
    return Counter(entry.kind for entry in await journal(bursar))


def faults(bursar: Running) -> list[dict[str, Any]]:
    """Return what the log has that it must not have."""
    return [event for event in bursar.logs if event.get("event") in FAULTS]


async def pending(bursar: Running) -> list[bytes]:
    """Return the ids of calls that are still reserved, by the ledger's list of deadlines."""
    found: list[bytes] = await bursar.app.commands.execute(
        "ZRANGE", bursar.app.ledger.keys.deadlines, 0, -1
    )
    return found


async def serves(bursar: Running) -> None:
    """Insist that the proxy is alive: one more call passes, and is settled."""
    bursar.scenario(usage={"output": 1})
    status, _, body = await bursar.chat(max_tokens=1)
    await bursar.settled()

    assert status == 200, body
    assert await pending(bursar) == []


async def nothing_was_sent(bursar: Running) -> None:
    """Insist that no call was admitted and none arrived, and that the proxy serves on."""
    await bursar.settled()
    counted = await kinds(bursar)
    assert counted["admitted"] == 0, counted
    assert bursar.simulator.calls == [], bursar.simulator.calls
    assert faults(bursar) == [], faults(bursar)
    await serves(bursar)


async def books_are_closed(
    bursar: Running, *, spent: int, budget: str = "month", account_is_closed: bool = False
) -> None:
    """Insist that nothing is in flight, that so much was spent, and that the proxy serves on.

    Where the provider said that our account pays for nothing, it refuses the next call by itself.
    """
    await bursar.settled()
    await until(lambda: _none_pending(bursar))
    standing = await bursar.standing(budget)
    assert (standing.spent, standing.reserved) == (spent, 0), (standing, spent)
    assert faults(bursar) == [], faults(bursar)
    if account_is_closed:
        status, headers, body = await bursar.chat(max_tokens=1)
        assert (status, body["error"]["code"]) == (402, "wallet_exhausted"), body
        assert headers["x-bursar-decision"] == "refused"
        return
    await serves(bursar)


async def _none_pending(bursar: Running) -> bool:
    return not await pending(bursar)
