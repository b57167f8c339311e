"""When one of several owners trusts that it knows what it signed (spec/streams.md 10)."""

from dataclasses import dataclass

import pytest

from qbix_node import machines as m
from qbix_node.gossip import messages as g
from qbix_node.streams.authoring import make_genesis, sign_head
from qbix_node.streams.caution import PATIENCE_S, Doubt, ShownAhead, Trusted
from qbix_node.streams.forks import ShownHead
from qbix_node.streams.genesis import Genesis, Uniqueness
from qbix_node.streams.messages import Head, Segment
from qbix_node.streams.tree import Hash, leaf_hash
from tests.gossip.test_own import ALICE, BOB, CAROL, Guard
from tests.replication.network import keys_of
from tests.streams.branches import owned_by

KEYS = {name: keys_of(name) for name in ("alice", "bob", "carol")}
OWNERS = owned_by(*[(keys, 1) for keys in KEYS.values()], threshold=2)


def genesis_by(sequencer: str, uniqueness: Uniqueness = Uniqueness.GOSSIP) -> Genesis:
    return make_genesis(KEYS[sequencer], "test", uniqueness, salt=bytes(16), owners=OWNERS)


def head_of(genesis: Genesis, length: int, *names: str, root: bytes = bytes(32)) -> ShownHead:
    signers = [(OWNERS.index(KEYS[name].public) or 0, KEYS[name]) for name in names]
    return ShownHead(sign_head(Head(genesis.stream, length, Hash(root), length), *signers))


def beginning(genesis: Genesis) -> Segment:
    root = leaf_hash(genesis.encoded)
    head = head_of(genesis, 1, "bob", "carol", root=root).signed
    return Segment(genesis.stream, 0, (genesis.encoded,), (None,), head, ())


@dataclass
class Member(Guard):
    """Alice's, who owns the stream with Bob and Carol; `signed`: what she knows to have signed."""

    sequencer: str = "bob"
    uniqueness: Uniqueness = Uniqueness.GOSSIP
    signed: int = 1

    def __post_init__(self) -> None:
        self.segments = []
        self.genesis = genesis_by(self.sequencer, self.uniqueness)
        super().__post_init__()
        self.shelf.take(self.genesis, [beginning(self.genesis)])
        self.start()

    def start(self) -> None:
        super().start()
        self.caution.signed = lambda stream: self.signed

    @property
    def waits(self) -> str | None:
        stream = self.genesis.stream
        return self.caution.why_wait(stream, self.shelf.logs[stream])

    def heads(self, *names: str, length: int = 5) -> g.Heads:
        return g.Heads((head_of(self.genesis, length, *names),))


def test_it_waits_after_its_start_as_an_only_owner_does() -> None:
    member = Member()
    assert member.waits == Doubt.STARTED
    member.later(PATIENCE_S)
    assert member.waits is None
    member = Member(clean=False)
    member.later(PATIENCE_S)
    assert member.waits == Doubt.CUT_OFF
    member.meet(BOB)
    (question,) = member.questions(BOB)
    member.hear(BOB, g.Continues(question.number, question.shown, ()))
    assert member.waits is None


def test_of_a_stream_that_is_not_compared_it_waits_for_time_only() -> None:
    member = Member(clean=False, uniqueness=Uniqueness.NONE)
    member.later(PATIENCE_S)
    assert member.waits is None


@pytest.mark.parametrize(
    ("sequencer", "signers", "signed", "holds"),
    [
        ("bob", ("alice", "bob"), 1, True),
        ("bob", ("alice", "bob"), 5, False),  # which it knows: it comes by itself
        ("bob", ("bob", "carol"), 1, False),
        ("alice", ("bob", "carol"), 1, True),  # which only she can have proposed
        ("alice", ("bob", "carol"), 5, False),
    ],
)
def test_a_longer_head_that_it_signed_and_has_forgotten_holds_it(
    sequencer: str, signers: tuple[str, str], signed: int, holds: bool
) -> None:
    member = Member(alone=True, sequencer=sequencer, signed=signed)
    member.meet(CAROL)
    member.hear(CAROL, member.heads(*signers))
    stream = member.genesis.stream
    assert (ShownAhead(stream, 5) in member.found) == holds
    assert (member.waits is not None) == holds
    assert (stream in member.kept) == holds


def test_while_it_asks_any_longer_head_holds_it() -> None:
    """Its own signature may not have been needed."""
    member = Member(clean=False)
    member.meet(BOB)
    (question,) = member.questions(BOB)
    longer = head_of(member.genesis, 5, "bob", "carol")
    member.hear(BOB, g.Continues(question.number, longer, ()))
    assert member.found == [
        ShownAhead(member.genesis.stream, 5),
        Trusted(member.genesis.stream),
    ]
    assert "signed" in (member.waits or "")


def test_too_few_signatures_hold_nothing() -> None:
    member = Member(alone=True, signed=1)
    member.meet(CAROL)
    member.hear(CAROL, member.heads("alice"))
    assert (member.waits, member.checked) == (None, 0)


def test_a_stream_that_comes_from_others_is_in_doubt_unless_it_was_begun_here() -> None:
    for sequencer, signed, doubted in (
        ("alice", 1, False),
        ("alice", 0, True),
        ("alice", 2, True),
        ("bob", 1, True),
    ):
        member = Member(alone=True, sequencer=sequencer, signed=signed)
        state = member.shelf.logs[member.genesis.stream]
        member.do(m.Requested(g.Came(member.genesis.stream)))
        assert (member.waits is not None) == doubted
        member.caution.doubts.clear()
        key = state.owners.weights[OWNERS.index(ALICE.keys.public) or 0][0]
        writes = member.caution.doubt_what_comes(member.genesis, state, key)
        assert bool(writes) == doubted
