"""`list`: the scenarios that come with the simulator."""

import click

from netsim.cli.options import json_option
from netsim.scenario import Scenario, load, names, read
from qbix_node.cli.output import Output
from qbix_node.wire.v8json import JsonValue


@click.command("list")
@json_option
def list_scenarios(out: Output) -> None:
    """The scenarios that come with it; a scenario may be a TOML file of your own, too."""
    scenarios = [_load(name) for name in names()]
    width = max([len(each.name) for each in scenarios], default=0)
    data: list[JsonValue] = [_data(each) for each in scenarios]
    out.show(data, [_line(each, width) for each in scenarios])


def _load(name: str) -> Scenario:
    _, text = read(name)
    return load(text, name)


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
