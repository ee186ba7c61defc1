"""Administrative acts in the journal."""

from __future__ import annotations

import json

from policies.ledger.memory import MemoryLedger
from proxy.admin.access import Access
from proxy.admin.acts import EXPORTED, act_data, note_act

ANN = Access(role="admin", teams=frozenset(), actor="ann", address="192.0.2.1")


def test_an_act_says_who_and_from_where() -> None:
    assert json.loads(act_data(ANN, key="key_1", name=None)) == {
        "actor": "ann",
        "from": "192.0.2.1",
        "key": "key_1",
        "name": None,
    }


def test_what_is_not_known_is_null() -> None:
    nobody = Access(role="viewer", teams=frozenset())

    assert json.loads(act_data(nobody)) == {"actor": None, "from": None}


async def test_an_act_is_journalled_about_no_call(memory_ledger: MemoryLedger) -> None:
    await note_act(memory_ledger, EXPORTED, ANN, format="csv", team="<b>röd</b>")

    (entry,) = await memory_ledger.journal()
    assert (entry.kind, entry.call_id) == ("exported", "")
    assert json.loads(entry.data)["team"] == "<b>röd</b>"
