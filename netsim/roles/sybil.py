"""Many identities on one host, each with a connection to everybody, which wants blobs of no one and
hears whatever it can. `amount`: how many; 0: 12.
"""

from collections.abc import Iterable

from netsim import facts
from netsim.roles.role import Face, Role, Stage, keys_of_face
from qbix_node import machines as m
from qbix_node.blobs import messages as b
from qbix_node.crypto.boxes import sha256
from qbix_node.crypto.keys import KeyPair
from qbix_node.replication.messages import EbtCall, EbtNotes, make_note
from qbix_node.wire.references import BlobId, FeedId

IDENTITIES = 12
WANTS = 40  # of each identity


class Nobody:
    """One of the identities: it asks for everything it hears of, and says it has none."""

    def __init__(self, keys: KeyPair) -> None:
        self._own = FeedId(keys.public)
        self._answered: dict[m.PeerId, set[FeedId]] = {}

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        match event:
            case m.Connected(peer, outgoing):
                self._answered[peer] = set()
                wants = [b.Want(self._blob(n), 1 + n % 3) for n in range(WANTS)]
                call = (EbtCall(),) if outgoing else ()
                said = (b.Listening(), *call, *wants)
                crowd = m.Emit(facts.Misdeed("crowded", peer))
                return (*[m.Send(peer, message) for message in said], crowd)
            case m.Received(peer, EbtCall()):
                return (m.Send(peer, EbtNotes({})),)
            case m.Disconnected(peer):
                self._answered.pop(peer, None)
            case m.Received(peer, EbtNotes(notes)) if peer in self._answered:
                return self._ask(peer, notes)
            case _:
                pass
        return ()

    def _ask(self, peer: m.PeerId, notes: Iterable[FeedId]) -> tuple[m.Effect, ...]:
        """Once for each feed: two of them would never end."""
        answered = self._answered[peer]
        new = [feed for feed in (self._own, *notes) if feed not in answered]
        answered.update(new)
        said = {feed: make_note(int(feed == self._own), receive=True) for feed in new}
        return (m.Send(peer, EbtNotes(said)),) if said else ()

    def _blob(self, n: int) -> BlobId:
        return BlobId(sha256(b"wanted by nobody %d" % n + self._own))


def make_sybil(stage: Stage) -> Role:
    count = int(stage.amount) or IDENTITIES
    further = [keys_of_face(stage.site.number, place) for place in range(1, count)]
    every = [stage.site.keys, *further]
    return Role(tuple([Face(keys, Nobody(keys), stage.dials()) for keys in every]))
