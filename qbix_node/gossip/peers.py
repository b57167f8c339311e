"""What a connected peer holds, was told, and costs (spec/gossip.md 2, 3, 7)."""

from dataclasses import dataclass, field

from qbix_node.crypto.boxes import sha256
from qbix_node.gossip.messages import LISTENED_MAX
from qbix_node.streams.forks import ShownHead
from qbix_node.streams.messages import Head
from qbix_node.streams.records import LogState
from qbix_node.streams.tree import Hash
from qbix_node.wire.references import StreamId

CHECKS_BURST = 256  # signatures that are checked for a peer at once
CHECKS_A_SECOND = 32
QUESTIONS_MAX = 8  # that one side may have open
QUESTION_ROUNDS = 3  # an answer that has not come by then does not come
PROOFS_A_ROUND = 32  # that a peer is told, so that it need not be fast
UNSEEN_MAX = 4096  # Heads that a peer told when it had cost enough; the oldest is forgotten
TOLD_MAX = 8  # Heads of one stream that are remembered as told; the oldest is forgotten


@dataclass(frozen=True, slots=True)
class Question:
    """Of ours: does your log continue this one?"""

    state: LogState
    round: int  # in which it was asked
    ours: LogState | None  # our log, as it was: mostly the same

    @property
    def stream(self) -> StreamId:
        return self.state.signed.head.stream


@dataclass(slots=True)
class Listener:
    since: float  # when its allowance was last filled up
    holds: dict[StreamId, None] = field(default_factory=dict)
    listens: dict[StreamId, None] = field(default_factory=dict)  # without holding it, or we do
    unmet: dict[StreamId, None] = field(default_factory=dict)  # of those, it may lack the genesis
    untold: dict[StreamId, None] = field(default_factory=dict)  # of which it may lack proofs
    proofs_left: int = PROOFS_A_ROUND  # of this round
    questions: dict[int, Question] = field(default_factory=dict)
    lies: bool = False  # it is not listened to any more
    unseen: dict[tuple[StreamId, int, Hash], ShownHead] = field(default_factory=dict)
    _told: dict[StreamId, dict[tuple[int, Hash], None]] = field(default_factory=dict)
    _proofs: dict[bytes, None] = field(default_factory=dict)  # by their hash, told or heard
    _checks: float = CHECKS_BURST

    def hears(self, stream: StreamId) -> bool:
        """Whether it wants to hear of the stream."""
        return stream in self.holds or stream in self.listens

    def streams(self) -> list[StreamId]:
        """Of which it wants to hear."""
        return [*self.holds, *[each for each in self.listens if each not in self.holds]]

    def listen(self, stream: StreamId) -> bool:
        """Whether that is new, and not more than a peer may listen to."""
        if stream in self.listens or len(self.listens) >= LISTENED_MAX:
            return False
        self.listens[stream] = None
        return True

    def forget_questions(self, *, before_round: int = 0, stream: StreamId | None = None) -> None:
        """Those that were never answered, or are of no use any more."""
        self.questions = {
            number: each
            for number, each in self.questions.items()
            if each.round >= before_round and each.stream != stream
        }

    def look_later(self, shown: ShownHead) -> None:
        head = shown.head
        while len(self.unseen) >= UNSEEN_MAX:
            del self.unseen[next(iter(self.unseen))]
        self.unseen[head.stream, head.length, head.root] = shown

    def tell(self, stream: StreamId, head: Head) -> bool:
        """Whether it has not been told yet, nor told us."""
        told = self._told.setdefault(stream, {})
        if (head.length, head.root) in told:
            return False
        while len(told) >= TOLD_MAX:
            del told[next(iter(told))]
        told[head.length, head.root] = None
        return True

    def tell_proof(self, encoded: bytes) -> bool:
        name = sha256(encoded)
        known = name in self._proofs
        most = 4 * TOLD_MAX + 2 * (len(self.holds) + len(self.listens))
        while len(self._proofs) >= most:
            del self._proofs[next(iter(self._proofs))]
        self._proofs[name] = None
        return not known

    def may_cost(self, checks: int, now: float) -> bool:
        filled = self._checks + CHECKS_A_SECOND * max(0.0, now - self.since)
        self._checks, self.since = min(filled, CHECKS_BURST), now
        if self._checks < checks:
            return False
        self._checks -= checks
        return True
