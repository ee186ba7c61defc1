"""The npm SDKs: put in place once, by the lock file, and run as programs of their own."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Final

from tests.doubles.requirements import require

FOLDER: Final = Path(__file__).parent / "npm"
_STAMP: Final = FOLDER / "node_modules" / ".bursar-stamp"
_INSTALL_S: Final = 100.0
_RUN_S: Final = 60.0
#: The oldest on which these versions of the SDKs run.
_NODE_MAJOR_MIN: Final = 20


def install() -> str:
    """Put the SDKs in place as the lock file says; return the path of node.

    Where node, npm or the packages are missing, the test is skipped, or fails if it must not be.
    """
    node, lacking = _installed()
    require(not lacking, lacking)
    return node


@cache
def _installed() -> tuple[str, str]:
    """Return the path of node, and what is lacking; tried once, for a failure can take long."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return "", "the npm SDKs need node and npm, which are not on PATH"
    version = subprocess.run([node, "--version"], capture_output=True, check=True, text=True).stdout
    if int(version.lstrip("v").partition(".")[0]) < _NODE_MAJOR_MIN:
        return "", f"the npm SDKs need node {_NODE_MAJOR_MIN} or newer, not {version.strip()}"
    wanted = hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()
    # Two runs of the tests in one tree must not install over each other.
    place = hashlib.sha256(bytes(FOLDER)).hexdigest()[:16]
    with (Path(tempfile.gettempdir()) / f"bursar-npm-{place}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _STAMP.exists() and _STAMP.read_text() == wanted:
            return node, ""
        lacking = _install(npm)
        if not lacking:
            _STAMP.write_text(wanted)
    return node, lacking


def _install(npm: str) -> str:
    """Install what the lock file names; return why that failed, or nothing."""
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    # Without a network npm would wait for more than a minute before it says so.
    command += ["--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"]
    try:
        done = subprocess.run(
            command, cwd=FOLDER, capture_output=True, check=False, text=True, timeout=_INSTALL_S
        )
    except subprocess.TimeoutExpired:
        return f"'npm ci' did not end within {_INSTALL_S:.0f} s"
    return f"'npm ci' failed: {done.stderr[-500:]}" if done.returncode else ""


async def run(node: str, program: str, **environment: str) -> dict[str, Any]:
    """Run one of the programs; return what it printed.

    Raises:
        AssertionError: it failed; the message says how.
    """
    process = await asyncio.create_subprocess_exec(
        node,
        program,
        cwd=FOLDER,
        env={**_kept_environment(), **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_RUN_S):
            printed, complaints = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise AssertionError(f"{program} failed: {complaints.decode()[-2000:]}")
    found: dict[str, Any] = json.loads(printed)
    return found


def _kept_environment() -> dict[str, str]:
    """Return what node itself needs: the SDKs' own variables would lead them elsewhere."""
    return {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
