"""Scenario files (TOML): what is to happen in a run, and how much of it a seed decides."""

from netsim.scenario.drawing import draw
from netsim.scenario.export import to_toml
from netsim.scenario.library import load_named, names, read
from netsim.scenario.scenario import Scenario, load

__all__ = ["Scenario", "draw", "load", "load_named", "names", "read", "to_toml"]
