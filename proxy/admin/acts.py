"""Administrative acts, as the journal has them: what was done, by whom, and from where."""

from __future__ import annotations

import json
from typing import Final

from policies.ledger.interface import Ledger
from proxy.admin.access import Access

RECEIPTS_RUN: Final = "receipts_run"
EXPORTED: Final = "exported"
SIGN_IN_FAILED: Final = "sign_in_failed"

Fact = str | int | bool | None | list[str] | dict[str, str]


def act_data(access: Access, **facts: Fact) -> str:
    """Return the JSON text of an act: who, from where, and whatever else there is to say."""
    said = {"actor": access.actor or None, "from": access.address or None, **facts}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


async def note_act(ledger: Ledger, kind: str, access: Access, **facts: Fact) -> None:
    """Journal an act. Raises `LedgerUnavailable`: then it is not known whether it was."""
    await ledger.note(kind, act_data(access, **facts))
