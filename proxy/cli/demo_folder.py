"""The demo's folder: its configuration, its policies, and its keys, which are shown at every start."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Final

from policies.errors import BursarError

#: The demo overwrites a configuration that begins so, and no other one.
MARK: Final = (
    "# Written by `bursar demo` at every start; policies.yaml beside it is yours to change."
)
# Keys and tokens are in these files.
PRIVATE: Final = 0o600
_CONFIGURATION: Final = """\
{mark}
gateway: {{host: 127.0.0.1, port: {port}}}
admin: {{host: 127.0.0.1, port: {admin_port}, tokens: [{{token: "{admin_token}", role: admin}}]}}
data_dir: .
policies: policies.yaml
providers:
  agipower:
    kind: agipower
    base_url: "{provider}"
    api_key: sk-ai-v1-demo
    management_key: sk-mg-v1-demo
  venice:
    kind: venice
    base_url: "{provider}/venice/api"
    api_key: VENICE_INFERENCE_KEY_demo
    billing_key: VENICE_ADMIN_KEY_demo
routes:
  - {{models: ["venice-*", "zai-org-*"], provider: venice}}
  - {{provider: agipower}}
# The simulated provider knows after seconds what a call has cost; a real one takes minutes.
receipts: {{first_after: 2s, retry_after: 1s, poll_every: 1s, scan_every: 5s}}
wallets: {{every: 5s}}
"""


class NotADemoFolder(BursarError):
    """The folder is somebody else's."""


@dataclass(slots=True)
class Secrets:
    """What opens the demo."""

    admin_token: str
    #: By team: the key's id, and its secret.
    keys: dict[str, tuple[str, str]] = field(default_factory=dict)


class DemoFolder:
    """Where a demo keeps everything."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.configuration = self.path / "bursar.yaml"
        self.policies = self.path / "policies.yaml"
        self._secrets = self.path / "keys.json"

    def prepare(self, *, port: int, admin_port: int, provider: str) -> Secrets:
        """Write what is missing, and the configuration anew; return the secrets so far.

        Raises:
            NotADemoFolder: a configuration is there that no demo has written.
        """
        before = self.configuration
        if before.exists() and not before.read_text(encoding="utf-8").startswith(MARK):
            raise NotADemoFolder(f"{before} is not of a demo: choose another --data-dir")
        self.path.mkdir(parents=True, exist_ok=True)
        known = self._read() or Secrets(admin_token=f"adm_{secrets.token_urlsafe(24)}")
        text = _CONFIGURATION.format(
            mark=MARK,
            port=port,
            admin_port=admin_port,
            admin_token=known.admin_token,
            provider=provider,
        )
        _write(self.configuration, text)
        if not self.policies.exists():
            self.policies.write_bytes((files("proxy.cli") / "demo_policies.yaml").read_bytes())
        self.keep(known)
        return known

    def keep(self, known: Secrets) -> None:
        """Write the secrets down: the ledger has only what they can be checked by."""
        _write(self._secrets, json.dumps({"admin_token": known.admin_token, "keys": known.keys}))

    def _read(self) -> Secrets | None:
        try:
            found = json.loads(self._secrets.read_bytes())
            keys = {team: (key_id, secret) for team, (key_id, secret) in found["keys"].items()}
            return Secrets(admin_token=found["admin_token"], keys=keys)
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return None  # Not there yet, or not what a demo writes: new ones are made.


def _write(path: Path, text: str) -> None:
    """Write a file that nobody else may read, from the first byte on."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE), "w") as file:
        file.write(text)
