"""What the log says of policies and workers."""

from __future__ import annotations

import io
import json
from typing import Any

from policies.lined_yaml import Mistake
from proxy.cli.events import OperatorLog
from proxy.policy_watch import Rejected, Reloaded
from proxy.telemetry.logs import make_log


def test_every_event_is_a_line_with_its_facts() -> None:
    stream = io.StringIO()
    events = OperatorLog(make_log(stream, form="json"))

    events.policies_changed(Reloaded(version="abc", changes=("team red added",)))
    events.policies_rejected(Rejected(mistakes=(Mistake("p.yaml", 3, "teams", "is empty"),)))
    events.policies_unwatched("no more watches")
    events.policies_not_journalled("the ledger is away")
    events.worker_died(1, -9, 0.1)
    events.worker_replaced(1, 4711)
    events.ledger_unavailable("nobody answers")
    events.stopping()
    events.failed(RuntimeError("a fault"))

    lines: list[dict[str, Any]] = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == [
        "policies_changed",
        "policy_mistake",
        "policies_not_changed",
        "policies_not_watched",
        "policies_not_journalled",
        "worker_died",
        "worker_replaced",
        "ledger_unavailable",
        "stopping",
        "background_task_failed",
    ]
    assert lines[0]["changes"] == ["team red added"]
    assert lines[1]["mistake"] == "p.yaml:3: teams: is empty"
    assert lines[5]["status"] == -9
