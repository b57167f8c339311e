"""Byzantine programs: what attacks honest nodes in a run (NodePlan.role).

Each module says what its program does, and what the `amount` of the node's plan means to it. A new
one is a module and a line here.
"""

from collections.abc import Mapping

from netsim.roles.blob_liar import make_blob_liar
from netsim.roles.eclipser import make_eclipser
from netsim.roles.equivocator import make_equivocator
from netsim.roles.flooder import make_flooder
from netsim.roles.forger import make_forger
from netsim.roles.liar import make_liar
from netsim.roles.replayer import make_replayer
from netsim.roles.role import Dial, Face, MakeRole, Role, Stage
from netsim.roles.silent import make_silent
from netsim.roles.slow_reader import make_slow_reader
from netsim.roles.stream_cosigner import make_stream_cosigner
from netsim.roles.stream_equivocator import make_stream_conspirator, make_stream_equivocator
from netsim.roles.stream_liar import make_stream_liar
from netsim.roles.stream_sequencer import make_stream_sequencer
from netsim.roles.stream_withholder import make_stream_withholder
from netsim.roles.sybil import make_sybil
from netsim.roles.withholder import make_withholder
from netsim.site import Site

__all__ = ["NAMES", "ROLES", "SHARING", "STREAM_OWNERS", "Dial", "Face", "Role", "make_role"]

ROLES: Mapping[str, MakeRole] = {
    "blob_liar": make_blob_liar,
    "eclipser": make_eclipser,
    "equivocator": make_equivocator,
    "flooder": make_flooder,
    "forger": make_forger,
    "liar": make_liar,
    "replayer": make_replayer,
    "silent": make_silent,
    "slow_reader": make_slow_reader,
    "stream_conspirator": make_stream_conspirator,
    "stream_cosigner": make_stream_cosigner,
    "stream_equivocator": make_stream_equivocator,
    "stream_liar": make_stream_liar,
    "stream_sequencer": make_stream_sequencer,
    "stream_withholder": make_stream_withholder,
    "sybil": make_sybil,
    "withholder": make_withholder,
}
NAMES = tuple(ROLES)
SHARING = ("stream_cosigner", "stream_sequencer")  # about streams of several owners
STREAM_OWNERS = tuple(  # of some each
    [name for name in ROLES if name.startswith("stream_") and name not in SHARING]
)


def make_role(name: str, site: Site, sites: Mapping[int, Site]) -> Role:
    """Once in a run. Raises KeyError: there is no such role."""
    return ROLES[name](Stage(site, sites))
