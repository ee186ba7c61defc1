"""How many calls there were, and how many were refused."""

from __future__ import annotations

import structlog

from policies.clock import SystemClock
from proxy.cli.tally import Tally
from proxy.dialects.interface import ErrorKind
from proxy.gateway.call import Refusal
from proxy.telemetry.metrics import Metrics


def test_refusals_by_money_are_told_from_other_errors() -> None:
    metrics = Metrics(SystemClock())
    tally = Tally(metrics, structlog.wrap_logger(structlog.ReturnLogger()))

    for kind in (ErrorKind.BUDGET_EXCEEDED, ErrorKind.WALLET_EXHAUSTED, ErrorKind.UNPRICED):
        tally.refused(Refusal(status=402, kind=kind, message="no"), "messages", "call_1")

    assert tally.refusals == 2
    assert tally.others == {"unpriced": 1}
    assert b"bursar_calls_refused_total" in metrics.render()
