"""The policies in force, and loading them anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from aiohttp import web

from policies.units import policy_text
from proxy.admin.asked import access_of
from proxy.admin.budgets import seen_by
from proxy.admin.etags import check_unchanged, etag_of
from proxy.admin.operations import CHANGED, IF_MATCH, POLICY_MISTAKES, Operation
from proxy.admin.replies import Refused, reply
from proxy.admin.schemas import Fault, Row
from proxy.admin.services import Services
from proxy.policy_watch import Rejected, Reloaded


class TeamRow(Row):
    """A team as the policies have it."""

    name: str
    models: list[str]
    members: list[str]


class BudgetPolicyRow(Row):
    """A budget as the policies have it."""

    name: str
    team: str | None
    each: str | None
    limit: str
    mode: str


class PoliciesView(Row):
    """The policies in force."""

    organization: str
    version: str
    teams: list[TeamRow]
    budgets: list[BudgetPolicyRow]


class ReloadResult(Row):
    """What loading the policies anew has changed."""

    version: str
    changes: list[str]


class Policies:
    """`/admin/v1/policies`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def operations(self) -> Sequence[Operation]:
        """Return what can be asked."""
        return (
            Operation(
                method="GET",
                path="/admin/v1/policies",
                name="get_policies",
                says="Show the policies in force.",
                handler=self.show,
                answer=PoliciesView,
                tagged=True,
            ),
            Operation(
                method="POST",
                path="/admin/v1/policies/reload",
                name="reload_policies",
                says="Load the policy files anew; with a mistake in them, nothing changes.",
                handler=self.reload,
                answer=ReloadResult,
                tagged=True,
                headers=(IF_MATCH,),
                refuses=(CHANGED, POLICY_MISTAKES),
            ),
        )

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
        return reply(view, etag=etag_of(rulebook.version))

    async def reload(self, request: web.Request) -> web.Response:
        """Load the files anew; with a mistake in them, nothing changes."""
        check_unchanged(request, etag_of(self._services.rulebook().version))
        match await self._services.reload_policies():
            case Reloaded(version=version, changes=changes):
                result = ReloadResult(version=version, changes=list(changes))
                return reply(result, etag=etag_of(version))
            case Rejected(mistakes=mistakes):
                faults = [
                    Fault(file=each.file, line=each.line, field=each.field, message=each.message)
                    for each in mistakes
                ]
                said = f"the policies have {len(faults)} mistakes; those before stay in force"
                raise Refused(422, "policy_mistakes", said, faults)
            case unreachable:
                assert_never(unreachable)
