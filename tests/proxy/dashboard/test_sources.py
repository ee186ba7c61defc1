"""What the pages are made from is what the admin plane has."""

from __future__ import annotations

from proxy.dashboard.sources import Attempts, Commands, Tokens
from tests.proxy.dashboard.world import World


def test_the_admin_planes_own_parts_are_taken(world: World) -> None:
    def taken(tokens: Tokens, attempts: Attempts, commands: Commands) -> int:
        return len(tokens) + (attempts.allowed("10.0.0.1") is None) + callable(commands.execute)

    assert taken(world.plane.tokens, world.plane.attempts, world.commands) == 7
    assert world.sources.services is world.services
