"""Wrong decisions about forked streams of which the owners chose a branch."""

from netsim.checks.resolving import ChosenKept
from netsim.defects import streamplans as plans
from netsim.defects.planting import EVENTUALLY, Defect, planting
from qbix_node.gossip import accusing
from qbix_node.gossip.knowledge import Knowledge
from qbix_node.ports import Put
from qbix_node.streams.messages import Segment, SignedResolve
from qbix_node.streams.records import LogState
from qbix_node.streams.resolution import Resolution
from qbix_node.streams.switching import Switching
from qbix_node.streams.tree import Hash


def _put_nowhere(resolution: Resolution) -> Put:
    return Put(b"s/z" + resolution.stream, b"")


def _always(switching: Switching, state: LogState, root: Hash | None) -> bool:
    return True


def _never(switching: Switching, state: LogState, root: Hash | None) -> bool:
    return False


def _take_all(switching: Switching, segment: Segment, length: int) -> bool:
    return False


def _no_rival(known: Knowledge, signed: SignedResolve) -> None:
    return None


RESOLVING_DEFECTS = (
    Defect(
        "choice not stored",
        "logs are dropped for a choice that is not written",
        ChosenKept.name,
        plans.a_branch_chosen,
        planting((accusing, "put_resolution", _put_nowhere)),
    ),
    Defect(
        "other branch kept",
        "whoever hears of the choice goes on with what is here",
        EVENTUALLY,
        plans.a_branch_chosen,
        planting((Switching, "_is_chosen", _always)),
    ),
    Defect(
        "chosen branch dropped",
        "whoever hears of the choice drops what is here",
        ChosenKept.name,
        plans.a_branch_chosen,
        planting((Switching, "_is_chosen", _never)),
    ),
    Defect(
        "other branch taken again",
        "who dropped a log takes it from whoever has it",
        EVENTUALLY,
        plans.a_branch_chosen,
        planting((Switching, "misses_branch", _take_all)),
    ),
    Defect(
        "second choice ignored",
        "who knows of one choice does not look at another",
        EVENTUALLY,
        plans.chosen_twice,
        planting((Knowledge, "rival_of", _no_rival)),
    ),
)
