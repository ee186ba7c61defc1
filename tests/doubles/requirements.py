"""What a test needs from the machine: where it is missing the test is skipped, or fails if told to."""

from __future__ import annotations

import os
from typing import Final

import pytest

#: Set by .ci/run: there a test that did not run is a fault.
REQUIRE_ALL: Final = "BURSAR_TEST_REQUIRE_ALL"


def require(met: object, reason: str) -> None:
    """Go on if the requirement is met; otherwise skip the test, or fail it where nothing may lack.

    Args:
        met: whether it is there; anything truthy.
        reason: what is missing, in words that tell how to get it.
    """
    if met:
        return
    if os.environ.get(REQUIRE_ALL, "") not in {"", "0"}:
        pytest.fail(f"{reason} ({REQUIRE_ALL} is set)", pytrace=False)
    pytest.skip(reason)
