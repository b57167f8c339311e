"""Byzantine programs: what attacks honest nodes in a run (NodePlan.role)."""

from collections.abc import Mapping

from netsim.roles.role import Dial, Face, MakeRole, Role, Stage
from netsim.roles.silent import make_silent
from netsim.site import Site

__all__ = ["ROLES", "Dial", "Face", "Role", "make_role"]

ROLES: Mapping[str, MakeRole] = {
    "silent": make_silent,
}


def make_role(name: str, site: Site, sites: Mapping[int, Site]) -> Role:
    """Raises KeyError: there is no such role."""
    return ROLES[name](Stage(site, sites))
