"""Whether everything is as it has to be once all faults are over: asked until it is.

Asked is only what can be. Two honest nodes *can meet* if one knows the other's address (or the
network is a local one), neither blocks the other, and there is room for the connection.

- Those who can meet are connected (spec/transport.md 6), and every node is up.
- Of two that can meet and both replicate a feed, none has less of it than the other, unless it
  knows the feed as forked. So a feed of an honest author reaches whoever a chain of nodes that
  replicate it leads to. And a fork is found by whoever has the shorter branch, since the first
  message of the longer one does not fit to it (spec/replication.md 6). Branches of equal length
  are not sent, so that classic EBT does not see them until one grows; who has the longer branch is
  sent nothing of the shorter one.
  Excused is who was put back to an old copy of everything, without having lost a message of its own
  feed: it can't know, and may learn of other feeds with their next message (spec/replication.md 4).
- What was to be published is, or was refused.
- Streams: netsim/checks/converging.py.
- An operator's want is fulfilled if an honest node within `hops_max` links holds the blob, one link
  if the quota of those between could not hold all blobs of the run at once (spec/blobs.md 4, 5).
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from netsim import facts
from netsim.asking import limits_of
from netsim.checks import contents, converging, signing
from netsim.checks.branches import Dropped
from netsim.checks.check import Facts, View
from netsim.checks.complaining import Complaint
from netsim.checks.converging import Converging
from netsim.plan import Do, Operation
from qbix_node.blobs import messages as b
from qbix_node.blobs.quota import COUNTED_BYTES_MIN
from qbix_node.feeds.messages import Published, PublishRefused
from qbix_node.gossip.messages import ForkProven, ForkResolved
from qbix_node.machines import PeerId
from qbix_node.net import messages as k
from qbix_node.ports import Rows
from qbix_node.replication.messages import Granted
from qbix_node.streams import messages as s
from qbix_node.wire.references import BlobId, FeedId

# What each complaint rests on.
_RUNS = "spec/storage.md 1.1: It survives a killed process and a cut of power"
_PUBLISHED = (
    "spec/classic-feeds.md 7: Nobody is told that a message is here before it is durable; a message"
    " that we write counts as published then, too"
)
_CONNECTED = (
    "spec/transport.md 6: A node keeps a connection to every peer that its person added, and to"
    " those heard of"
)
_SENT = (
    "spec/replication.md 2.3: A peer that asks is sent every message after the one it has, in order"
)
_FETCHED = "spec/blobs.md 5: A wanted blob is fetched"
RESTS_ON = (
    _RUNS,
    _PUBLISHED,
    _CONNECTED,
    _SENT,
    _FETCHED,
    *converging.RESTS_ON,
    *signing.RESTS_ON,
    *contents.RESTS_ON,
)

COMPLAINTS_MAX = 20  # what is told of all that is not settled
# A number, with the word that makes it a name; the first digits of an id.
_NAMES = re.compile(r"node [0-9]+|[0-9a-f]{8}|[0-9]+")
LAN_NODES_MAX = 64  # spec/transport.md 7: more are not heard of at a time


@dataclass(frozen=True, slots=True)
class Unsettled:
    """`told`: COMPLAINTS_MAX at most, but one of each kind at least."""

    told: tuple[Complaint, ...] = ()
    count: int = 0


def kind_of(complaint: str) -> str:
    """The same of all complaints that differ in nothing but whom, which and how many they name."""
    return _NAMES.sub("N", complaint)


@dataclass(slots=True)
class _Ties:
    """Who can meet whom, who replicates what and wants what: as the disks say."""

    near: dict[int, dict[int, None]] = field(default_factory=dict)
    knows: dict[int, set[int]] = field(default_factory=dict)
    feeds: dict[int, dict[FeedId, None]] = field(default_factory=dict)
    streams: dict[int, converging.Standings] = field(default_factory=dict)


class Settling:
    watches: ClassVar[Facts] = (
        facts.Asked,
        facts.HandedIn,
        facts.LinkUp,
        facts.LinkDown,
        facts.Started,
        facts.Stopped,
        facts.Crashed,
        facts.RolledBack,
        Published,
        PublishRefused,
        Granted,
        k.Done,
        b.Wanted,
        b.Unwanted,
        s.Appended,
        s.AppendRefused,
        ForkProven,
        ForkResolved,
        Dropped,
    )

    def __init__(self, view: View) -> None:
        self._view = view
        self._streams = Converging(view)
        self._fetching = contents.Fetching(view)
        self._ties: _Ties | None = None
        self._up: dict[int, dict[PeerId, int]] = {}  # connections
        self._asked: dict[int, int] = {}  # publishes that were not answered
        self._own: dict[int, int] = {}  # own messages of who was put back and did not notice
        self._unaware: set[int] = set()
        plan = view.world.plan
        self._links, self._blobs = limits_of(plan)
        sizes = [max(each.size, COUNTED_BYTES_MIN) for each in plan.operations if _adds(each)]
        self._hops = self._blobs.hops_max if sum(sizes) <= self._blobs.sympathy_bytes_max else 1

    def handle(self, node: int, fact: object) -> None:
        self._streams.handle(node, fact)
        match fact:
            case facts.LinkUp(peer):
                up = self._up.setdefault(node, {})
                up[peer] = up.get(peer, 0) + 1
            case facts.LinkDown(peer) if up := self._up.get(node, {}):
                up[peer] = up.get(peer, 0) - 1
                if up[peer] <= 0:
                    del up[peer]
            case facts.Asked(Operation(do=Do.PUBLISH)):
                if self._view.world.members[node].up and not self._view.logs.was_rolled_back(node):
                    self._asked[node] = self._asked.get(node, 0) + 1
            case Published() | PublishRefused():
                self._asked[node] = max(0, self._asked.get(node, 0) - 1)
            case facts.Started() | facts.Stopped() | facts.Crashed() | facts.RolledBack():
                self._turn(node, fact)
            case _:
                self._ties = None  # what the disks say may have changed

    def _turn(self, node: int, fact: object) -> None:
        """A life of the node begins or ends; none of its connections lasts."""
        self._up.pop(node, None)
        self._asked.pop(node, None)
        self._ties = None
        match fact:
            case facts.RolledBack(noticed=False):
                self._own[node] = _length_of_own(self._view, node)
            case facts.Started(clean) if node in self._own:
                if self._own.pop(node) == _length_of_own(self._view, node) and clean:
                    self._unaware.add(node)
            case _:
                pass

    def unsettled(self) -> list[Complaint]:
        """The first few, for those who ask often."""
        return list(itertools.islice(self._complaints(), COMPLAINTS_MAX))

    def at_the_end(self) -> Unsettled:
        found = list(self._complaints())
        firsts = {kind_of(each.what): place for place, each in reversed(list(enumerate(found)))}
        chosen = dict.fromkeys([*sorted(firsts.values()), *range(len(found))])
        told = sorted(itertools.islice(chosen, COMPLAINTS_MAX))
        return Unsettled(tuple([found[place] for place in told]), len(found))

    def _complaints(self) -> Iterator[Complaint]:
        ties = self._ties = self._ties or self._read()
        connected = self._connected(ties)
        for node in self._view.honest:
            if not self._view.world.members[node].up:
                yield Complaint(_RUNS, f"node {node} is down")
            if count := self._asked.get(node):
                what = f"node {node} has {count} messages to publish and says nothing of them"
                yield Complaint(_PUBLISHED, what)
            yield from self._streams.unanswered(node)
            yield from signing.unsigned(self._view, node, connected[node], ties.streams)
        for node, others in ties.near.items():
            for other in others:
                if node < other and not self._excused(ties, node, other):
                    yield from self._between(ties, node, other)
        yield from self._fetching.unfetched(connected, ties.streams)
        yield from self._wants(ties)

    def _connected(self, ties: _Ties) -> dict[int, list[int]]:
        """Who of those that can meet has."""
        peers = {node: site.peer for node, site in self._view.honest.items()}
        return {
            node: [each for each in others if peers[each] in self._up.get(node, ())]
            for node, others in ties.near.items()
        }

    def _between(self, ties: _Ties, node: int, other: int) -> Iterator[Complaint]:
        sites, logs = self._view.honest, self._view.logs
        if sites[other].peer not in self._up.get(node, ()):
            yield Complaint(_CONNECTED, f"node {node} is not connected to node {other}")
        elif sites[node].peer not in self._up.get(other, ()):
            yield Complaint(_CONNECTED, f"node {other} is not connected to node {node}")
        theirs = ties.feeds[other]
        for feed in ties.feeds[node]:
            if feed not in theirs:
                continue
            have, has = logs.length(node, feed), logs.length(other, feed)
            if have == has:
                continue
            short, long = (node, other) if have < has else (other, node)
            excused = short in self._unaware and feed != sites[short].feed
            if not excused and sites[short].disk.get(b"f/x" + feed) is None:
                most = f"{min(have, has)} messages of {self._view.name(feed)}"
                what = f"node {short} has {most}, node {long} has {max(have, has)}"
                yield Complaint(_SENT, what)
        yield from self._streams.between(node, other, ties.streams[node], ties.streams[other])

    def _excused(self, ties: _Ties, node: int, other: int) -> bool:
        """Somebody else has taken the room: 32 places are kept for peers that a person added."""
        if self._view.honest[other].peer in self._up.get(node, ()):
            return False
        for here, there in ((node, other), (other, node)):
            kept = 0 if there in ties.knows[here] else self._links.connections_reserved
            if len(self._up.get(here, ())) >= self._links.connections_max - kept:
                return True
        return False

    def _wants(self, ties: _Ties) -> Iterator[Complaint]:
        for node, site in self._view.honest.items():
            for blob in map(BlobId, _keys(site.disk, b"b/w")):
                if blob not in site.files.sizes():
                    holder = self._holder(ties, node, blob)
                    if holder is not None:
                        what = f"node {node} wants blob {blob.hex()[:8]}, which node {holder} has"
                        yield Complaint(_FETCHED, what)

    def _holder(self, ties: _Ties, node: int, blob: BlobId) -> int | None:
        reached, edge = {node}, [node]
        for _ in range(self._hops):
            edge = [
                other
                for here in edge
                for other in ties.near[here]
                if other not in reached and not self._excused(ties, here, other)
            ]
            for other in edge:
                sizes = self._view.honest[other].files.sizes()
                if 0 < sizes.get(blob, 0) <= self._blobs.blob_bytes_max:
                    return other
            reached.update(edge)
        return None

    def _read(self) -> _Ties:
        ties, sites = _Ties(), self._view.honest
        numbers = {site.keys.public: number for number, site in sites.items()}
        blocked: dict[int, set[bytes]] = {}
        for node, site in sites.items():
            blocked[node] = {*_keys(site.disk, b"p/b"), *_keys(site.disk, b"r/b")}
            known = [numbers[key] for key in _keys(site.disk, b"p/a") if key in numbers]
            if self._view.world.plan.lan and len(self._view.world.sites) <= LAN_NODES_MAX:
                known = list(sites)
            ties.knows[node] = set(known)
            follows = [FeedId(key) for key in _keys(site.disk, b"r/f")]
            ties.feeds[node] = dict.fromkeys([site.feed, *follows])
            ties.streams[node] = self._streams.replicated(node)
            ties.near.setdefault(node, {})
            for other in known:
                if other != node:
                    ties.near[node][other] = None
                    ties.near.setdefault(other, {})[node] = None
        for node, others in ties.near.items():
            for other in list(others):
                if sites[other].peer in blocked[node] or sites[node].peer in blocked[other]:
                    del others[other]
        return ties


def _length_of_own(view: View, node: int) -> int:
    """Of the node's own feed."""
    return view.logs.length(node, view.honest[node].feed)


def _keys(rows: Rows, prefix: bytes) -> list[bytes]:
    found = rows.scan(prefix, prefix + b"\xff" * 33, limit=1 << 30)
    return [key[len(prefix) :] for key, _ in found]


def _adds(operation: Operation) -> bool:
    return operation.do is Do.ADD_BLOB
