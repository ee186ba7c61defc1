"""What happens to policies and workers, as the log has it."""

from __future__ import annotations

from structlog.typing import FilteringBoundLogger

from proxy.policy_watch import Rejected, Reloaded


class OperatorLog:
    """Tells operators by the log."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log

    def policies_changed(self, outcome: Reloaded) -> None:
        """Other policies are in force."""
        self._log.info("policies_changed", version=outcome.version, changes=outcome.changes)

    def policies_rejected(self, outcome: Rejected) -> None:
        """The policy files have mistakes; the policies so far stay in force."""
        for mistake in outcome.mistakes:
            self._log.error("policy_mistake", mistake=str(mistake))
        self._log.error("policies_not_changed", mistakes=len(outcome.mistakes))

    def policies_unwatched(self, fault: str) -> None:
        """Changes of files are not noticed; policies are loaded on request alone."""
        self._log.warning("policies_not_watched", fault=fault, effect="send SIGHUP to load them")

    def policies_not_journalled(self, fault: str) -> None:
        """Other policies are in force, but the journal does not know it yet."""
        self._log.warning("policies_not_journalled", fault=fault)

    def worker_died(self, worker: int, status: int, pause_s: float) -> None:
        """A worker ended without being asked to; it is started again after a pause."""
        self._log.error("worker_died", worker=worker, status=status, starts_again_in_s=pause_s)

    def worker_replaced(self, worker: int, process: int) -> None:
        """A new process serves in the place of a worker that died."""
        self._log.info("worker_replaced", worker=worker, process=process)

    def ledger_unavailable(self, fault: str) -> None:
        """The ledger does not answer at the start; it is tried again all the time."""
        self._log.error("ledger_unavailable", fault=fault)

    def stopping(self) -> None:
        """No new calls are taken."""
        self._log.info("stopping", effect="calls in flight end; a second signal ends them at once")

    def failed(self, fault: BaseException) -> None:
        """Something that runs in the background ended with a fault."""
        self._log.error("background_task_failed", exc_info=fault)
