"""`list`: the scenarios that come with the simulator."""

import click

from netsim.cli.options import json_option
from netsim.scenario import Scenario, load_named, names
from qbix_node.cli.output import Output
from qbix_node.errors import BadInput, ExitCode
from qbix_node.wire.v8json import JsonValue


@click.command("list")
@json_option
def list_scenarios(out: Output) -> int:
    """The scenarios that come with it; a scenario may be a TOML file of your own, too."""
    scenarios, broken = [], list[BadInput]()
    for name in names():
        try:
            scenarios.append(load_named(name))
        except BadInput as error:  # the others are there all the same
            broken.append(error)
    width = max([len(each.name) for each in scenarios], default=0)
    data: list[JsonValue] = [_data(each) for each in scenarios]
    out.show(data, [_line(each, width) for each in scenarios])
    for each in broken:
        click.echo(f"error: {each}", err=True)
    return ExitCode.BAD_INPUT if broken else ExitCode.DONE


def _line(scenario: Scenario, width: int) -> str:
    drivers = " ".join(scenario.drivers)
    return f"{scenario.name:{width}}  {scenario.nodes!s:>7} nodes  {drivers:9}  {scenario.about}"


def _data(scenario: Scenario) -> JsonValue:
    return {
        "name": scenario.name,
        "about": scenario.about,
        "claims": list(scenario.claims),
        "nodes": {"min": scenario.nodes.low, "max": scenario.nodes.high},
        "drivers": list(scenario.drivers),
        "sometimes": list(scenario.sometimes),
        "in_sweep": list(scenario.in_sweep),
    }
