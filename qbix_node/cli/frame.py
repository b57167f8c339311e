"""What every command has: --home, --config and --json before or after its name, and its context."""

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from qbix_node.cli.output import Output
from qbix_node.daemon.home import Home, find_home

if TYPE_CHECKING:
    from qbix_node.http.client import ControlClient


class Context:
    def __init__(self) -> None:
        self.out = Output()
        self.home_option: str | None = None
        self.config_option: str | None = None

    @property
    def home(self) -> Home:
        return find_home(self.home_option, os.environ)

    @property
    def config_path(self) -> Path | None:
        """The named file, else the home's if there is one."""
        if self.config_option:
            return Path(self.config_option)
        return self.home.config if self.home.config.exists() else None

    def client(self) -> "ControlClient":
        from qbix_node.http.client import ControlClient  # noqa: PLC0415  (slow: only when needed)

        return ControlClient(self.home.control_socket)


def _remember(context: click.Context, parameter: click.Parameter, value: object) -> None:
    chosen = context.ensure_object(Context)
    match parameter.name, value:
        case "home", str():
            chosen.home_option = value
        case "config", str():
            chosen.config_option = value
        case "json", True:
            chosen.out.json = True
        case _:  # not given here
            pass


_option = partial(click.Option, expose_value=False, callback=_remember)
_SHARED: list[click.Parameter] = [
    _option(["--home"], metavar="DIR", help="The node's folder; else $QBIX_HOME."),
    _option(["--config"], metavar="FILE", help="Settings; else node.toml in the home."),
    _option(["--json"], is_flag=True, help="Print JSON."),
]


class Command(click.Command):
    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), *_SHARED]


class Group(click.Group):
    command_class: type[click.Command] | None = Command

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), *_SHARED]
