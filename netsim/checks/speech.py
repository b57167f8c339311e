"""What a node says to peers, in the words of its machines."""

from typing import ClassVar

from netsim import facts
from netsim.asking import blob_of, limits_of
from netsim.checks.check import Check, Facts, Report, View
from netsim.checks.logs import Stored
from netsim.checks.messages import judge
from netsim.plan import Do, Operation
from qbix_node.blobs import messages as b
from qbix_node.machines import PeerId
from qbix_node.replication.conversations import SEND_AGAIN_S
from qbix_node.replication.messages import REFUSED, EbtNotes, Range
from qbix_node.wire.references import BlobId, FeedId

_FOLLOW, _WANT = b"r/f", b"b/w"
_CHANGES = (Do.FOLLOW, Do.UNFOLLOW, Do.BLOCK)


class NothingClaimedEarly(Check):
    name = "notes claim only what is durable"
    guards = (
        "spec/replication.md 2.1: A note is an acknowledgement: a node says n only once the"
        " messages up to n are durable; spec/machines.md 3.3: It persists before it speaks."
    )
    watches: ClassVar[Facts] = (facts.Asked, facts.Said, facts.Started)

    def __init__(self, view: View, report: Report) -> None:
        super().__init__(view, report)
        self._withdrawn: dict[int, dict[BlobId, None]] = {}  # wants, in this life

    def handle(self, node: int, fact: object) -> None:
        match fact:
            case facts.Started():
                self._withdrawn.pop(node, None)
            case facts.Asked(Operation(do=Do.UNWANT_BLOB) as operation):
                self._withdrawn.setdefault(node, {})[blob_of(operation)] = None
            case facts.Said(_, message):
                self._hear(node, message)
            case _:
                pass

    def _hear(self, node: int, message: object) -> None:
        match message:
            case EbtNotes(notes):
                for feed, note in notes.items():
                    if note > 1:
                        self._look(node, feed, note >> 1)
            case Range(feed, _, last):
                self._look(node, feed, last)
            case b.Have(blob):
                if blob not in self.view.honest[node].files.sizes():
                    self.violated(node, f"it says to have blob {blob.hex()[:8]}")
            case b.Want(blob, 1) if blob not in self._withdrawn.get(node, {}):
                # A want and its withdrawal that waited together for the disk become durable
                # together: it was durable when it was said, and is gone already.
                if self.view.honest[node].disk.get(_WANT + blob) is None:
                    self.violated(node, f"its want of blob {blob.hex()[:8]} is not durable")
            case _:
                pass

    def _look(self, node: int, feed: FeedId, sequence: int) -> None:
        length = self.view.logs.length(node, feed)
        if sequence > length:
            name = self.view.name(feed)
            self.violated(node, f"it says to have {sequence} messages of {name}, and has {length}")


class OnlyWhatIsReplicated(Check):
    """Follows and unfollows hold at once, though they are granted once they are durable: so what
    was asked for last in this life counts, else the disk.
    """

    name = "only replicated feeds are announced and served"
    guards = (
        "spec/replication.md 1: A node replicates its own feed and the feeds that its operator"
        " follows: these it asks for, stores, announces and serves, and no others."
    )
    watches: ClassVar[Facts] = (facts.Asked, facts.Said, facts.Started)

    def __init__(self, view: View, report: Report) -> None:
        super().__init__(view, report)
        self._asked: dict[int, dict[FeedId, bool]] = {}

    def handle(self, node: int, fact: object) -> None:
        match fact:
            case facts.Started():
                self._asked.pop(node, None)
            case facts.Asked(Operation(do=do, target=int() as target)) if do in _CHANGES:
                if self.view.hears(node):
                    feed = self.view.world.sites[target].feed
                    self._asked.setdefault(node, {})[feed] = do is Do.FOLLOW
            case facts.Said(to, EbtNotes(notes)):
                for feed, note in notes.items():
                    if note != REFUSED:
                        self._look(node, to, feed)
            case facts.Said(to, Range(feed)):
                self._look(node, to, feed)
            case _:
                pass

    def _look(self, node: int, to: PeerId, feed: FeedId) -> None:
        site = self.view.honest[node]
        followed = self._asked.get(node, {}).get(feed)
        if followed is None:
            followed = site.disk.get(_FOLLOW + feed) is not None
        if not followed and feed != site.feed:
            self.violated(node, f"{self.view.name(to)} hears of {self.view.name(feed)}")


class WantsEnd(Check):
    name = "a want travels a few hops"
    guards = (
        "spec/blobs.md 4.5: A want … of a peer becomes a want … of this node while … 3, is said to"
        " every peer"
    )
    watches: ClassVar[Facts] = (facts.Said,)

    def __init__(self, view: View, report: Report) -> None:
        super().__init__(view, report)
        self._most = limits_of(view.world.plan)[1].hops_max

    def handle(self, node: int, fact: object) -> None:
        match fact:
            case facts.Said(_, b.Want(blob, hops)) if hops > self._most:
                self.violated(node, f"blob {blob.hex()[:8]} is wanted over {hops} hops")
            case _:
                pass


class SentAgainSeldom(Check):
    name = "the same is not sent again and again"
    guards = (
        "spec/replication.md 2.4: So within a conversation a message is sent once. If 20 s after"
        " its note the peer has said nothing else about the feed … what it asked for is sent once"
        " more."
    )
    watches: ClassVar[Facts] = (facts.Said, facts.LinkUp)

    def __init__(self, view: View, report: Report) -> None:
        super().__init__(view, report)
        self._again: dict[tuple[int, PeerId], dict[FeedId, float]] = {}

    def handle(self, node: int, fact: object) -> None:
        match fact:
            case facts.LinkUp(peer):
                self._again.pop((node, peer), None)
            case facts.Said(to, Range(feed, again=True)):
                times = self._again.setdefault((node, to), {})
                # Time of the node itself, which may run faster.
                rate = max(1.0, self.view.honest[node].clock.rate)
                soonest = times.get(feed, -SEND_AGAIN_S) + SEND_AGAIN_S / rate - 1e-6
                if self.view.now < soonest:
                    self.violated(node, f"the feed of {self.view.name(feed)}, too early")
                times[feed] = self.view.now
            case _:
                pass


class SignaturesCheckedOnce(Check):
    name = "what is in the log costs no signature"
    guards = (
        "spec/classic-feeds.md 7: A message that is in the log, or waits, in the same words, costs"
        " no signature and no write."
    )
    watches: ClassVar[Facts] = (facts.Checked, facts.RolledBack, Stored)

    def __init__(self, view: View, report: Report) -> None:
        super().__init__(view, report)
        self._stored: dict[int, dict[bytes, bytes]] = {}  # messages, by their signatures

    def handle(self, node: int, fact: object) -> None:
        stored = self._stored.setdefault(node, {})
        match fact:
            case Stored(text=text):
                stored[judge(text).signature] = text
            case facts.RolledBack():
                stored.clear()
            case facts.Checked(checks):
                for check in checks:
                    # Under a stolen signature other words may stand: these do cost a check.
                    signed = stored.get(check.signature, b"")
                    if signed.startswith(check.body.removesuffix(b"\n}") + b","):
                        self.violated(node, f"a message of {self.view.name(check.key)}")
            case _:
                pass


SPEECH_CHECKS = (
    NothingClaimedEarly,
    OnlyWhatIsReplicated,
    WantsEnd,
    SentAgainSeldom,
    SignaturesCheckedOnce,
)
