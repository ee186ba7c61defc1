"""Bounds have room for what providers really send."""

from __future__ import annotations

from proxy.dialects import bounds


def test_an_event_holds_a_4k_picture_and_a_body_holds_four_smaller_ones() -> None:
    assert bounds.EVENT_BYTES_MAX > 20 * bounds.MIB
    assert bounds.BODY_BYTES_MAX >= 4 * 16 * bounds.MIB
