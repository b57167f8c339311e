"""Wrong decisions about contents that are dropped and fetched again."""

from collections.abc import Iterable

from netsim.checks.contents import ContentsRight
from netsim.defects import streamplans as plans
from netsim.defects.planting import EVENTUALLY, Defect, planting
from qbix_node.machines import PeerId
from qbix_node.replication.streams.contents.search import Search
from qbix_node.streams.lacking import Lacking


def _as_before(lacking: Lacking, places: Iterable[int]) -> Lacking:
    return lacking


def _nobody(search: Search, lengths: dict[PeerId, int], now: float) -> None:
    return None


CONTENT_DEFECTS = (
    Defect(
        "dropped content not noted",
        "a content is dropped, and it is not written that it is missing",
        ContentsRight.name,
        plans.contents_dropped,
        planting((Lacking, "with_dropped", _as_before)),
    ),
    Defect(
        "contents not fetched",
        "whoever misses contents asks nobody for them",
        EVENTUALLY,
        plans.contents_dropped,
        planting((Search, "choose", _nobody)),
    ),
)
