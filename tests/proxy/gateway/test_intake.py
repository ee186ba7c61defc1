"""Bodies on their way in: bounded for each key, and together."""

from __future__ import annotations

from contextlib import ExitStack

from proxy.gateway.intake import BYTES_MAX, PER_KEY_MAX, Intake


def test_one_key_has_so_many_bodies_on_their_way_and_others_are_not_held_up() -> None:
    intake = Intake()
    with ExitStack() as stack:
        shares = [stack.enter_context(intake.share("greedy")) for _ in range(PER_KEY_MAX)]
        beyond = stack.enter_context(intake.share("greedy"))
        other = stack.enter_context(intake.share("modest"))

    assert all(share.admitted for share in shares)
    assert not beyond.admitted
    assert other.admitted


def test_places_are_free_again_when_bodies_have_been_read() -> None:
    intake = Intake()
    for _ in range(PER_KEY_MAX + 1):
        with intake.share("busy") as share:
            assert share.admitted


def test_all_bodies_together_take_no_more_than_the_bound() -> None:
    intake = Intake()
    with intake.share("one") as first, intake.share("two") as second:
        assert first.take(BYTES_MAX - 1)
        assert not second.take(2)
        assert second.take(1)

    assert intake.held == 0
