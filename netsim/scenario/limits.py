"""[settings]: limits of all honest nodes that differ from their defaults."""

from collections.abc import Mapping
from dataclasses import fields

from netsim.chance import Draws
from netsim.plan import Range
from netsim.scenario.amounts import draw_widely
from netsim.scenario.reading import Table
from qbix_node.blobs.limits import Limits as BlobLimits
from qbix_node.net.limits import Limits

_TIMES_S = Range(0.001, 1e7)
_COUNTS = Range(1, 2.0**50)
# Of none of these a node still works: there is no room for strangers, or no sympathy.
_MAY_BE_NONE = ("connections_reserved", "sympathy_bytes_max", "sympathy_fetches_max")
_LEAST = {"packet_bytes_max": 16_384.0}  # the longest message, as text within JSON

SETTINGS: Mapping[str, bool] = {  # whether it is a whole number
    each.name: isinstance(each.default, int)
    for kind in (Limits, BlobLimits)
    for each in fields(kind)
}


def read_settings(table: Table) -> dict[str, Range]:
    return {name: _read(table, name, whole=SETTINGS[name]) for name in table.names(SETTINGS)}


def _read(table: Table, name: str, *, whole: bool) -> Range:
    allowed = allowed_of(name)
    bounds = table.span(name, low=allowed.low, high=allowed.high)
    if whole and not (bounds.low.is_integer() and bounds.high.is_integer()):
        raise table.wrong(name, "a whole number, or two, are expected")
    if bounds.low == 0 < bounds.high:
        raise table.wrong(name, "0 alone, or bounds above it, are expected")
    return bounds


def draw_setting(name: str, bounds: Range, draws: Draws) -> float:
    """As it may be written out again: within bounds, and whole if it is to be."""
    drawn = min(bounds.high, max(bounds.low, draw_widely(bounds, draws)))
    return float(round(drawn)) if SETTINGS[name] else drawn


def allowed_of(name: str) -> Range:
    if not SETTINGS[name]:
        return _TIMES_S
    low = 0.0 if name in _MAY_BE_NONE else _LEAST.get(name, _COUNTS.low)
    return Range(low, _COUNTS.high)
