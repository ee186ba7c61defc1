"""`bursar check`: every mistake in configuration and policies, before a proxy meets it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click

from policies.documents import PolicyErrors, PolicyFile, load
from policies.lined_yaml import Mistake, read
from proxy.cli.configuration import config_option, json_option
from proxy.cli.output import note, show_json
from proxy.cli.paths import shortened
from proxy.settings import DEFAULT_FILE, Settings, SettingsErrors, environment, load_settings

MISTAKEN: Final = 2
#: What only a configuration has at its top; a policy file has none of these.
_SETTINGS_FIELDS: Final = frozenset(Settings.model_fields) - set(PolicyFile.model_fields)


@dataclass(slots=True)
class _Report:
    """What was found in all that was looked at."""

    mistakes: list[Mistake] = field(default_factory=list)
    #: What was looked at and is fine: a label and what it says.
    fine: list[tuple[str, str]] = field(default_factory=list)


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]…")
@config_option
@json_option
def command(*, paths: tuple[Path, ...], config: Path | None, as_json: bool) -> int:
    """Validate configuration and policies.

    A PATH is a configuration, a policy file or a folder of policy files. Without any, it is the
    configuration and the policies that it names.
    """
    environ = environment()
    report = _Report()
    settings_files: list[Path | None] = [path for path in paths if _is_configuration(path, environ)]
    policy_paths = [path for path in paths if path not in settings_files]
    for path in settings_files or ([] if paths else [config]):
        _check_settings(path, environ, report)
    if policy_paths:
        _check_policies(policy_paths, environ, report)
    _show(report, as_json=as_json)
    return MISTAKEN if report.mistakes else 0


def _is_configuration(path: Path, environ: dict[str, str]) -> bool:
    """Tell a configuration from policies: by what it says, and where that does not tell, by name."""
    if path.is_dir():
        return False
    said = read(path, environ).data.keys()
    if said & _SETTINGS_FIELDS:
        return True
    return not said & set(PolicyFile.model_fields) and path.name == DEFAULT_FILE


def _check_settings(path: Path | None, environ: dict[str, str], report: _Report) -> None:
    try:
        settings = load_settings(path, environ)
    except SettingsErrors as error:
        report.mistakes += error.mistakes
        return
    file = path or Path(environ.get("BURSAR_CONFIG") or DEFAULT_FILE)
    providers = ", ".join(settings.providers) or "no provider"
    said = f"{providers}; routes: {len(settings.routes)}, prices: {len(settings.prices)}"
    report.fine.append((shortened(file) if file.exists() else "defaults", said))
    _check_policies([settings.policies], environ, report)


def _check_policies(paths: Sequence[Path], environ: dict[str, str], report: _Report) -> None:
    try:
        rulebook = load(paths, environ)
    except PolicyErrors as error:
        report.mistakes += error.mistakes
        return
    said = (
        f"{rulebook.organization}; teams: {len(rulebook.teams)}, budgets: {len(rulebook.budgets)}"
    )
    report.fine.append((", ".join(shortened(path) for path in paths), said))


def _show(report: _Report, *, as_json: bool) -> None:
    if as_json:
        show_json(_document(report))
        return
    for mistake in report.mistakes:
        note(str(mistake))
    if not report.mistakes:
        for label, said in report.fine:
            click.echo(f"{click.style('✓', fg='green')} {label}: {said}")


def _document(report: _Report) -> dict[str, Any]:
    return {
        "ok": not report.mistakes,
        "mistakes": [
            {"file": each.file, "line": each.line, "field": each.field, "message": each.message}
            for each in report.mistakes
        ],
    }
