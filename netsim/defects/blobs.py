"""Wrong decisions about blobs."""

from collections.abc import Callable

from netsim.checks.blobs import OperatorsBlobsStay, RightBytes, SympathyWithinQuota
from netsim.checks.promises import PromisesKept
from netsim.checks.speech import NothingClaimedEarly, WantsEnd
from netsim.defects import plans
from netsim.defects.planting import EVENTUALLY, Defect, planting
from netsim.lean.fetching import Fetching
from netsim.lean.link import Link
from netsim.messages import BlobEnd
from qbix_node import machines as m
from qbix_node.blobs import machine
from qbix_node.blobs import messages as b
from qbix_node.blobs.machine import BlobExchange
from qbix_node.blobs.quota import MARK, SympathyQuota
from qbix_node.blobs.wanted import WantedBlob
from qbix_node.ports import Delete, Write
from qbix_node.wire.references import BlobId

_arrive = BlobExchange._arrive
_tell_listeners = BlobExchange._tell_listeners


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


def _no_sympathy(exchange: BlobExchange, *_: object) -> tuple[m.Effect, ...]:
    return ()


def _share_always(
    exchange: BlobExchange, listener: object, blob: BlobId, hops: int
) -> tuple[m.Effect, ...]:
    want = exchange._wants.setdefault(blob, WantedBlob(hops))
    if want.hops < hops:
        return ()
    want.hops = hops
    return exchange._tell_listeners(b.Want(blob, hops))


def _tell_at_once(
    exchange: BlobExchange, note: b.Note, after: m.Token | None = None
) -> tuple[m.Effect, ...]:
    return _tell_listeners(exchange, note)


def _arrive_at_once(
    exchange: BlobExchange, blob: BlobId, size: int, *, own: bool
) -> tuple[m.Effect, ...]:
    effects = _arrive(exchange, blob, size, own=own)
    said = m.Emit(b.Arrived(blob, size))
    return effects if said in effects else (*effects, said)


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
        "kept before the sync",
        "a person hears that a blob of sympathy is here before that is durable",
        OperatorsBlobsStay.name,
        plans.kept_and_cut,
        planting((BlobExchange, "_arrive", _arrive_at_once)),
        seeds=(6, 9, 10, 11),
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
        "a want is said to every peer as soon as it is decided",
        NothingClaimedEarly.name,
        plans.wants,
        planting((BlobExchange, "_tell_listeners", _tell_at_once)),
    ),
    Defect(
        "wants without an end",
        "a want is shared however far it has come",
        WantsEnd.name,
        plans.wants,
        planting((BlobExchange, "_sympathise", _share_always)),
    ),
    Defect(
        "no sympathy",
        "wants of peers are not shared",
        EVENTUALLY,
        plans.wants,
        planting((BlobExchange, "_sympathise", _no_sympathy)),
    ),
)
