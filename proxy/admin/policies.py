"""The policies in force, and loading them anew."""

from __future__ import annotations

from typing import assert_never

from aiohttp import web

from policies.units import policy_text
from proxy.admin.budgets import seen_by
from proxy.admin.door import access_of
from proxy.admin.replies import Refused, reply
from proxy.admin.schemas import BudgetPolicyRow, Fault, PoliciesView, ReloadResult, TeamRow
from proxy.admin.services import Services
from proxy.policy_watch import Rejected, Reloaded


class Policies:
    """`/admin/v1/policies`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[web.RouteDef]:
        """Return the paths."""
        return [
            web.get("/admin/v1/policies", self.show),
            web.post("/admin/v1/policies/reload", self.reload),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """Show what is in force."""
        access, rulebook = access_of(request), self._services.rulebook()
        sees = seen_by(access)
        view = PoliciesView(
            organization=rulebook.organization,
            version=rulebook.version,
            teams=[
                TeamRow(name=team.name, models=list(team.models), members=sorted(team.members))
                for team in rulebook.teams.values()
                if access.sees(team.name)
            ],
            budgets=[
                BudgetPolicyRow(
                    name=budget.name,
                    team=budget.scope.team,
                    each=budget.each,
                    limit=policy_text(budget.unit, budget.limit),
                    mode=budget.mode,
                )
                for budget in rulebook.budgets.values()
                if sees(budget)
            ],
        )
        return reply(view)

    async def reload(self, request: web.Request) -> web.Response:
        """Load the files anew; with a mistake in them, nothing changes."""
        match await self._services.reload_policies():
            case Reloaded(version=version, changes=changes):
                return reply(ReloadResult(version=version, changes=list(changes)))
            case Rejected(mistakes=mistakes):
                faults = [
                    Fault(file=each.file, line=each.line, field=each.field, message=each.message)
                    for each in mistakes
                ]
                said = f"the policies have {len(faults)} mistakes; those before stay in force"
                raise Refused(422, "policy_mistakes", said, faults)
            case unreachable:
                assert_never(unreachable)
