"""Which configuration a command works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from policies.documents import load
from policies.rulebook import Rulebook
from proxy.settings import Settings, environment, load_settings

Command = TypeVar("Command", bound=Callable[..., Any])

config_option: Final = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The configuration. Default: $BURSAR_CONFIG, else ./bursar.yaml.",
)
json_option: Final = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, for programs."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The settings and the policies that they name, both without mistakes."""

    settings: Settings
    rulebook: Rulebook
    environ: dict[str, str]


def configured(config: Path | None) -> Configuration:
    """Return the configuration of a file, else the one that is there by default.

    Raises:
        SettingsErrors: the file cannot be used.
        PolicyErrors: the policies that it names cannot be used.
    """
    environ = environment()
    settings = load_settings(config, environ)
    return Configuration(
        settings=settings, rulebook=load([settings.policies], environ), environ=environ
    )


def with_ports(settings: Settings, port: int | None, admin_port: int | None) -> Settings:
    """Return the settings with the ports that the command line names."""
    if port is not None:
        gateway = settings.gateway.model_copy(update={"port": port})
        settings = settings.model_copy(update={"gateway": gateway})
    if admin_port is not None:
        admin = settings.admin.model_copy(update={"port": admin_port})
        settings = settings.model_copy(update={"admin": admin})
    return settings
