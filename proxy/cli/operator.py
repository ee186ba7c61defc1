"""Who is at the command line, as the journal names them."""

from __future__ import annotations

import getpass
import os
from typing import Final

from proxy.grant_store import Who

#: From where something was done that no address stands for.
ORIGIN: Final = "cli"


def operator() -> Who:
    """Return the user of the operating system; one that it has no name for goes by the number."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):
        name = f"uid {os.getuid()}"
    return Who(name, ORIGIN)
