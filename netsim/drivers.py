"""The drivers by name. Each is imported when it is chosen, because they need different halves."""

from netsim.world import Driver
from qbix_node.errors import UsageError

NAMES = ("lean", "trio")


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
