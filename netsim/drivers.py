"""The drivers by name. Each is imported when it is chosen, because they need different halves."""

from netsim.plan import Plan
from netsim.world import Driver
from qbix_node.errors import BadInput, UsageError

NAMES = ("lean", "trio")
# What stands in for links in the lean driver has no such limits: a run would not show them.
_UNHEEDED_BY_LEAN = (
    "goodbye_patience_s",
    "packet_bytes_max",
    "queued_bytes_per_peer_max",
    "streams_per_peer_max",
    "write_patience_s",
)


def refuse_unheeded(name: str, plan: Plan) -> None:
    """Settings that this driver would ignore. Raises BadInput."""
    if plan.dht is not None and name != "lean":
        raise BadInput(
            f"{plan.scenario}: [dht]: its nodes have no links, disks or people, "
            f"and so nothing that the {name} driver brings",
            hint="--driver lean runs it",
        )
    unheeded = [each for each in _UNHEEDED_BY_LEAN if each in plan.settings and name == "lean"]
    if unheeded:
        raise BadInput(
            f"{plan.scenario}: settings.{unheeded[0]} is ignored by the lean driver",
            hint="--driver trio heeds it",
        )


def make_driver(name: str) -> Driver:
    """Raises UsageError."""
    match name:
        case "lean":
            from netsim.lean import LeanDriver  # noqa: PLC0415

            return LeanDriver()
        case "trio":
            from netsim.full import FullDriver  # noqa: PLC0415

            return FullDriver()
        case _:
            raise UsageError(f"there is no driver {name}", hint=f"there are: {', '.join(NAMES)}")
