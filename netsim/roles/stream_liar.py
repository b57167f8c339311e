"""Signs, as the owner of streams, what its entries do not bear out, and says of them what isn't so.
`amount` k: only the kth of its deeds; 0: all in turn.
"""

from collections.abc import Iterable
from dataclasses import replace

from netsim.messages import StreamNotes
from netsim.roles.luck import below
from netsim.roles.owning import Owner
from netsim.roles.role import Role, Stage, keys_of_face
from netsim.roles.streaming import StreamScheme, scheming_about_streams
from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.gossip.messages import Heads
from qbix_node.replication.messages import make_note
from qbix_node.streams.authoring import make_intent, make_segment, sign_head
from qbix_node.streams.forks import ShownHead
from qbix_node.streams.messages import Head, NewEntry, OfferedSegment, Segment
from qbix_node.streams.records import LogState
from qbix_node.streams.tree import Hash, bag, grow, leaf_hash

_BEHIND = 4  # by so much a length goes down


class StreamLiar(StreamScheme):
    def __init__(self, stage: Stage, owner: Owner) -> None:
        super().__init__(stage, owner)
        self.deeds = (
            self.tell_pending_head,
            self.lie_about_root,
            self.lie_about_frontier,
            self.announce_less,
            self.replay_intent,
        )
        self._pending: dict[bytes, Head] = {}  # one of each stream: the same is told to everybody

    def tell_pending_head(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        """Heads over entries that never come."""
        for stream, state in self.owner.side.logs.items():
            head = self._pending.get(stream)
            if head is None or head.length <= state.length:
                ahead, root = 1 + below(rng, 5), Hash(rng.randbytes(32))
                length = state.length + ahead
                head = self._pending[stream] = Head(stream, length, root, state.stamp_ms)
            yield m.Send(peer, Heads((ShownHead(sign_head(head, self._signer)),)))

    def lie_about_root(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        """The next entry, under a Head with another root, or under a right one of somebody else."""
        for state in self._pick(rng):
            segment = self._next(state)
            head = segment.signed_head.head
            signed = sign_head(head, (0, keys_of_face(0, 1)))
            if below(rng, 2):
                signed = sign_head(head._replace(root=Hash(rng.randbytes(32))), self._signer)
            yield m.Send(peer, OfferedSegment(replace(segment, signed_head=signed)))

    def lie_about_frontier(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        """The next entry, under a longer Head to which nothing leads."""
        for state in self._pick(rng):
            segment = self._next(state)
            frontier = (Hash(rng.randbytes(32)), Hash(rng.randbytes(32)))
            head = segment.signed_head.head
            longer = head._replace(length=head.length + 3, root=Hash(rng.randbytes(32)))
            signed = sign_head(longer, self._signer)
            lie = replace(segment, signed_head=signed, frontier=frontier)
            yield m.Send(peer, OfferedSegment(lie))

    def announce_less(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        """As if its logs were shorter than it has said; lengths that go down, step by step."""
        for back in range(1, _BEHIND):
            notes = {
                stream: make_note(max(0, state.length - back), receive=True)
                for stream, state in self.owner.side.logs.items()
            }
            if notes:
                yield m.Send(peer, StreamNotes(notes))

    def replay_intent(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        """Somebody's entry, and the same once more, under a valid Head."""
        for state in self._pick(rng):
            author, said = keys_of_face(self.stage.site.number, 1), b"once"
            entry = NewEntry("note", said)
            first = make_intent(state, author, 1, entry, state.stamp_ms)
            again = first._replace(place=first.place + 1)
            leaves = first.encoded, again.encoded
            peaks, _ = grow(state.peaks, state.length, [leaf_hash(leaf) for leaf in leaves])
            head = Head(first.stream, state.length + 2, bag(peaks), state.stamp_ms)
            signed, contents = sign_head(head, self._signer), (said, said)
            lie = Segment(first.stream, state.length, leaves, contents, signed, ())
            yield m.Send(peer, OfferedSegment(lie))

    @property
    def _signer(self) -> tuple[int, KeyPair]:
        return 0, self.stage.site.keys

    def _pick(self, rng: m.Rng) -> list[LogState]:
        logs = list(self.owner.side.logs.values())
        return [logs[below(rng, len(logs))]] if logs else []

    def _next(self, state: LogState) -> Segment:
        entry = NewEntry("note", b"a lie")
        return make_segment(state, self.stage.site.keys, [entry], state.stamp_ms)


def make_stream_liar(stage: Stage) -> Role:
    return scheming_about_streams(stage, StreamLiar)
