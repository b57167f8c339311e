"""The streams of which a byzantine node is the owner: each second one grows by a leaf or two.

What is made of them depends on the second alone, so that several programs write the same.
"""

from collections.abc import Iterable, Iterator

from netsim.clocks import EPOCH_S
from netsim.roles.streams import StreamSide
from netsim.streams import PlannedStream
from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.streams.messages import Append, Create, NewEntry
from qbix_node.wire.references import StreamId

STREAMS = 6  # of one owner; each second belongs to one of them
TICK_S = 1.0
TURNS = 8  # that a stream gets one after the other
COMMON = 2  # turns after its creation that are the same in all branches
TICK = "tick"


class Owner:
    """One branch of all of them, which is honest by itself."""

    def __init__(self, keys: KeyPair, number: int, branch: int = 0, *, each: int = 1) -> None:
        """`each`: entries that are appended in a turn, once branches differ."""
        self.keys = keys
        self.side = StreamSide(keys)
        self.streams = [PlannedStream(number, each) for each in range(STREAMS)]
        self._branch = branch
        self._each = each
        self._ticks = 0  # that are done

    def catch_up(self, now: float, rng: m.Rng) -> Iterator[m.Effect]:
        """Do all that is due by now."""
        while self._ticks < int(now / TICK_S):
            self._ticks += 1
            wish = self._wish(self._ticks)
            yield from self.side.handle(m.Requested(wish), now, rng)

    def stream_at(self, tick: int) -> tuple[PlannedStream, int]:
        """Whose turn it is, and which of its turns."""
        rounds, place = divmod((tick - 1) // TURNS, STREAMS)
        return self.streams[place], rounds * TURNS + (tick - 1) % TURNS

    def _wish(self, tick: int) -> Create | Append:
        stream, turn = self.stream_at(tick)
        stamp_ms = int(1000 * (EPOCH_S + tick * TICK_S))
        if turn == 0:
            return Create(tick, stream.genesis, stamp_ms)
        forked = turn > COMMON
        said = f"{turn} of branch {self._branch}" if forked else f"{turn}"
        count = self._each if forked else 1
        entries = [NewEntry("note", f"{said}, {place}".encode()) for place in range(count)]
        return Append(tick, stream.id, tuple(entries), stamp_ms)


def forked_at(owner: Owner, before: float, now: float) -> Iterable[StreamId]:
    """Those whose branches began to differ in between."""
    for tick in range(int(before / TICK_S) + 1, int(now / TICK_S) + 1):
        stream, turn = owner.stream_at(tick)
        if turn == COMMON + 1:
            yield stream.id


def next_tick(now: float) -> m.SetTimer:
    return m.SetTimer(TICK, (int(now / TICK_S) + 1) * TICK_S + 1e-3)
