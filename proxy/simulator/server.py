"""The simulated provider as a server: routes each request to the operation its path names."""

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from aiohttp.web_request import BaseRequest

from proxy.simulator import (
    billing,
    control,
    free_requests,
    inference,
    management,
    neighbours,
    receipts,
)
from proxy.simulator.arrivals import Arrival, Unreadable, receive
from proxy.simulator.paths import METERED, Flavour, Operation
from proxy.simulator.provider import Provider
from proxy.simulator.replies import reply
from proxy.simulator.scenario import Scenario
from proxy.simulator.truth import Call

#: Venice speaks neither of these.
_NOT_AT_VENICE: Final = frozenset({Operation.MESSAGES, Operation.GENERATE_CONTENT})
_SHUTDOWN_S: Final = 1.0
OPERATIONS: Final[dict[Operation, Callable[[Provider, Arrival], Awaitable[web.StreamResponse]]]] = {
    Operation.GREETING: free_requests.greet,
    Operation.MODELS: free_requests.list_models,
    Operation.COUNT_TOKENS: free_requests.count_tokens,
    Operation.RESPONSE_LOOKUP: free_requests.look_up_response,
    Operation.RESPONSE_CANCEL: free_requests.cancel_response,
    Operation.GENERATION: receipts.look_up,
    Operation.SUBSCRIPTION_DETAIL: management.subscription_detail,
    Operation.FLOW_RATE: management.flow_rate,
    Operation.PAYG_BALANCE: management.payg_balance,
    Operation.MANAGEMENT_COST: management.cost,
    Operation.MANAGEMENT_USAGE: management.usage,
    Operation.BILLING_USAGE: billing.usage,
    Operation.BILLING_USAGE_HISTORY: billing.usage_history,
    Operation.BILLING_BALANCE: billing.balance,
    Operation.RATE_LIMITS: billing.rate_limits,
    Operation.CREDITS: neighbours.balance,
    Operation.KEY: neighbours.key,
}


class Simulator:
    """Speaks as AGIPower, Venice and others do, and keeps the truth about every call.

    Args:
        clock: wall-clock seconds; receipts, quotas and ledgers go by it.
        random_seed: ids are the same for the same seed and order of calls.
        billed_after_s: when billing is known, where no scenario says so;
            None leaves each provider its own documented delay.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        random_seed: int = 0,
        billed_after_s: float | None = None,
    ) -> None:
        self._provider = Provider(
            clock=clock, random_seed=random_seed, billed_after_s=billed_after_s
        )
        self._runner: web.ServerRunner | None = None

    @property
    def calls(self) -> list[Call]:
        """The truth: every inference call, in the order of arrival."""
        return self._provider.truth.calls

    def add_scenario(self, **fields: object) -> None:
        """What `POST /simulator/scenario` does, without HTTP."""
        for scenario in control.scenarios_of(fields):
            self._provider.adopt(scenario)

    @property
    def scenarios(self) -> list[Scenario]:
        """The documents that still wait for their calls."""
        return self._provider.script.waiting

    async def handler(self, request: BaseRequest) -> web.StreamResponse:
        """Answer one request; for `aiohttp.web.Server`."""
        if request.path.startswith(control.PREFIX):
            return await control.answer(self._provider, request)
        try:
            arrival = await receive(request)
        except Unreadable as error:
            response = reply({"error": {"message": str(error)}}, status=error.status)
            # What is left of the body cannot be read either.
            response.force_close()
            return response
        return await self._route(arrival)

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port that was bound."""
        self._provider.is_stopping = False
        server = web.Server(self.handler, access_log=None, keepalive_timeout=75.0)
        self._runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_S)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, backlog=4_096)
        await site.start()
        bound: int = self._runner.addresses[0][1]
        return bound

    async def stop(self) -> None:
        """Stop listening; answers that hang let go first."""
        self._provider.is_stopping = True
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _route(self, arrival: Arrival) -> web.StreamResponse:
        operation = arrival.target.operation
        if operation in METERED and not (
            arrival.flavour == Flavour.VENICE and operation in _NOT_AT_VENICE
        ):
            return await inference.answer_call(self._provider, arrival)
        if arrival.leaks_client_key:
            return inference.note_leak(self._provider, arrival)
        self._provider.truth.count_free_request(operation.value)
        answer = OPERATIONS.get(operation, free_requests.answer_unknown)
        return await answer(self._provider, arrival)
