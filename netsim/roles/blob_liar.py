"""Says that it has whatever is wanted, and answers with something else.

`amount` k: only the kth of its answers; 0: all in turn. Do.ACT sends bytes that nobody asked for.
"""

from collections.abc import Iterable

from netsim import facts
from netsim.messages import BlobBytes, BlobCancel, BlobEnd, BlobGet
from netsim.roles.puppet import Puppet
from netsim.roles.role import Role, Stage
from netsim.roles.schemer import Scheme, scheming
from qbix_node import machines as m
from qbix_node.blobs import messages as b
from qbix_node.wire.references import BlobId

SIZE = 5000  # of every blob, as it says
HUGE = 2**50
ENDLESS_SIZE = 1024 * 1024  # so that a node waits long for its end
DRIP_BYTES = 600  # of what never ends, each second
WAYS = 6


class BlobLiar(Scheme):
    def __init__(self, stage: Stage, puppet: Puppet) -> None:
        super().__init__(stage, puppet)
        self._asked = 0
        self._dripping: dict[tuple[m.PeerId, int], None] = {}
        self.deeds = (self.send_unasked, self.drip)

    def hear(self, event: m.Event) -> Iterable[m.Effect]:
        match event:
            case m.Received(peer, b.Want(blob)):
                size = self._size_of(blob)
                yield m.Send(peer, b.Have(blob, size))
            case m.Received(peer, BlobGet() as get):
                yield from self._answer(peer, get)
                yield m.Emit(facts.Misdeed("lied about a blob", peer))
            case m.Received(peer, BlobCancel(number)):
                self._dripping.pop((peer, number), None)
            case m.Disconnected(peer):
                for place in [place for place in self._dripping if place[0] == peer]:
                    del self._dripping[place]
            case _:
                pass

    def change(self, send: m.Send) -> Iterable[m.Effect]:
        """Its honest part does not answer for blobs."""
        return () if isinstance(send.message, b.Have | BlobBytes | BlobEnd) else (send,)

    def send_unasked(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        for number in range(1, 5):
            yield m.Send(peer, BlobBytes(1000 + number, rng.randbytes(200)))
            yield m.Send(peer, BlobEnd(1000 + number))

    def drip(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        for to, number in self._dripping:
            if to == peer:
                yield m.Send(peer, BlobBytes(number, rng.randbytes(DRIP_BYTES)))

    def _size_of(self, blob: BlobId) -> int:
        """Now and then one that nobody may take."""
        return HUGE if blob[0] % 8 == 0 else SIZE if blob[0] % 2 else ENDLESS_SIZE

    def _answer(self, peer: m.PeerId, get: BlobGet) -> Iterable[m.Effect]:
        number = get.number
        way = (int(self.stage.amount) or self._asked % WAYS + 1) % WAYS
        self._asked += 1
        match way:
            case 1:  # as many bytes as announced, and the wrong ones
                yield m.Send(peer, BlobBytes(number, bytes(get.size)))
                yield m.Send(peer, BlobEnd(number))
            case 2:  # more than announced
                yield m.Send(peer, BlobBytes(number, bytes(get.size)))
                yield m.Send(peer, BlobBytes(number, bytes(1000)))
                yield m.Send(peer, BlobEnd(number))
            case 3:  # never ends
                self._dripping[peer, number] = None
            case 4:  # a part, and no word any more
                yield m.Send(peer, BlobBytes(number, bytes(get.size // 2)))
            case 5:  # a part, as if it were all
                yield m.Send(peer, BlobBytes(number, bytes(get.size // 2)))
                yield m.Send(peer, BlobEnd(number))
            case _:  # what it said to have it has not
                yield m.Send(peer, BlobEnd(number, "not here"))


def make_blob_liar(stage: Stage) -> Role:
    return scheming(stage, BlobLiar)
