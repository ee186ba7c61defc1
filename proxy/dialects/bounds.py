"""How much of an answer is kept in memory to be read."""

from __future__ import annotations

from typing import Final

MIB: Final = 1024 * 1024

# The last event of a Responses stream repeats the whole output, and pictures come as base64 inside
# one event: a 4K picture is above 20 MiB. Beyond this an event is relayed but not looked at.
EVENT_BYTES_MAX: Final = 32 * MIB

# An answer that is not a stream is read at its end. Four pictures in base64 are below 64 MiB; of a
# longer answer only the receipt tells what it used.
BODY_BYTES_MAX: Final = 64 * MIB
