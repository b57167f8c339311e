"""Wrong decisions about blobs."""

from collections.abc import Callable

from netsim.checks.blobs import OperatorsBlobsStay, RightBytes, SympathyWithinQuota
from netsim.checks.promises import PromisesKept
from netsim.checks.speech import NothingClaimedEarly
from netsim.defects import plans
from netsim.defects.planting import EVENTUALLY, Defect, planting
from netsim.lean.fetching import Fetching
from netsim.lean.link import Link
from netsim.lean.runner import Runner
from netsim.messages import BlobEnd
from qbix_node import machines as m
from qbix_node.blobs import machine
from qbix_node.blobs import messages as b
from qbix_node.blobs.machine import BlobExchange
from qbix_node.blobs.quota import MARK, SympathyQuota
from qbix_node.ports import Delete, Write
from qbix_node.wire.references import BlobId

_room_for = SympathyQuota.room_for


def _take_any_bytes(fetching: Fetching, link: Link, message: BlobEnd) -> None:
    fetch = fetching._fetches.pop(message.number, None)
    if fetch is not None and message.reason is None:
        got = b.Got(fetch.get.number, fetch.get.blob, fetch.draft.size)
        fetching._runner.post(m.Received(link.peer, got))


def _no_victims(
    quota: SympathyQuota, size: int, held: Callable[[BlobId], bool]
) -> list[BlobId] | None:
    return []


def _still_counted(quota: SympathyQuota, blob: BlobId) -> Write:
    return Delete(MARK + blob)


def _no_sympathy(exchange: BlobExchange, blob: BlobId, hops: int) -> tuple[m.Effect, ...]:
    return ()


def _say_at_once(runner: Runner, event: m.Event) -> None:
    process = runner._process
    for effect in runner._machine.handle(event, process.now(), process.site.rng):
        if isinstance(effect, m.Send):
            runner._surroundings.send(effect.to, effect.message)
        elif isinstance(effect, m.Emit):
            runner._surroundings.found(effect.finding)
        else:
            runner._perform(effect)


BLOB_DEFECTS = (
    Defect(
        "hash of a blob not compared",
        "whatever a peer sends counts as the blob that was asked for",
        RightBytes.name,
        plans.blob_liar,
        planting((Fetching, "end", _take_any_bytes)),
    ),
    Defect(
        "quota not kept",
        "a blob comes by sympathy without making room",
        SympathyWithinQuota.name,
        plans.crowded_blobs,
        planting((SympathyQuota, "room_for", _no_victims)),
    ),
    Defect(
        "operator's blob given up",
        "what the operator wants is still counted as here by sympathy",
        OperatorsBlobsStay.name,
        plans.crowded_blobs,
        planting((SympathyQuota, "release", _still_counted)),
    ),
    Defect(
        "own want not written",
        "a want of the operator does not get where a start looks for it",
        PromisesKept.name,
        plans.wants,
        planting((machine, "WANT", b"b/z")),
    ),
    Defect(
        "want said before the sync",
        "what is to be said after a write does not wait for it",
        NothingClaimedEarly.name,
        plans.wants,
        planting((Runner, "_handle", _say_at_once)),
    ),
    Defect(
        "no sympathy",
        "wants of peers are not shared",
        EVENTUALLY,
        plans.wants,
        planting((BlobExchange, "_sympathise", _no_sympathy)),
    ),
)
