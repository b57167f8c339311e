"""What nobody honest says about streams, and what comes of it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from qbix_node import machines as m
from qbix_node.errors import Malformed
from qbix_node.gossip import messages as g
from qbix_node.gossip.knowledge import PENDING_MAX
from qbix_node.replication.streams.contents.messages import read_question
from qbix_node.replication.streams.messages import parse_stream_notes
from qbix_node.streams.authoring import sign_head
from qbix_node.streams.forks import HeadFork, ShownHead, encode_fork, equal_fork, read_fork
from qbix_node.streams.liars import LiarFound
from qbix_node.streams.messages import Head, SignedHead, read_segment, read_signed_head
from qbix_node.streams.tree import Hash, Prefix
from qbix_node.wire.fields import NUMBER_MAX
from qbix_node.wire.packing import Packable, pack, unpack
from qbix_node.wire.references import format_stream
from tests.gossip.desk import Desk
from tests.replication.network import keys_of
from tests.streams.desk import Desk as BookDesk
from tests.streams.forking import forked_log, proof_a, proof_b
from tests.streams.logs import ALICE, BOB, START_MS, Log, alices_log, genesis_of

PETE, EVE = (m.PeerId(keys_of(name).public) for name in ("pete", "eve"))
LOG = alices_log(9)
HUGE = (2**63, 2**63 - 1, 2**64 - 1, -(2**63))


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.take(LOG.genesis, LOG.segments(LOG.length))
    for peer in (PETE, EVE):
        desk.meet(peer, LOG.stream)
    return desk


def alices(length: int, root: bytes, stamp_ms: int = START_MS) -> SignedHead:
    return sign_head(Head(LOG.stream, length, Hash(root), stamp_ms), (0, ALICE))


def heads(*signed: SignedHead) -> g.Heads:
    return g.Heads(tuple(map(ShownHead, signed)))


# ---- Heads ----


def test_heads_over_entries_never_shown_are_few_and_stop_nothing(desk: Desk) -> None:
    """Though their owner signed them: nobody has what they are over."""
    for length in (10**6, 2**30 - 1, *range(100, 150)):
        desk.hear(PETE, heads(alices(length, length.to_bytes(32, "big"))))
    for _ in range(3):
        desk.round()
    assert len(desk.gossiper.pending(LOG.stream)) == PENDING_MAX
    assert desk.gossiper.stopped(LOG.stream) is None
    longer = Log(LOG.genesis, leaves=LOG.leaves[:], contents=LOG.contents[:]).write_many(3)
    desk.take(LOG.genesis, [longer.segment(9, 12)])
    desk.round()
    assert desk.logs[LOG.stream].length == 12
    assert desk.gossiper.stopped(LOG.stream) is None


@pytest.mark.parametrize("length", [5, 9])
def test_a_wrong_root_is_a_fork_if_the_owner_signed_it_and_else_a_lie(
    desk: Desk, length: int
) -> None:
    wrong = alices(length, b"wrong".ljust(32))
    desk.hear(EVE, heads(wrong._replace(signatures=LOG.head(length).signatures)))
    assert [found.peer for found in desk.found if isinstance(found, LiarFound)] == [EVE]
    assert desk.gossiper.proofs(LOG.stream) == []
    desk.hear(PETE, heads(wrong))
    [proof] = desk.gossiper.proofs(LOG.stream)
    fork = read_fork(proof)
    assert isinstance(fork, HeadFork)
    assert wrong in (fork.shown.signed, fork.other.signed)


def test_lengths_that_go_down_take_nothing_back(desk: Desk) -> None:
    book = BookDesk([LOG.stream])
    book.offer(LOG.segment(0, 9))
    book.settle()
    for length in (8, 3, 1):
        desk.hear(PETE, heads(LOG.head(length)))
        book.offer(LOG.segment(0, length))
        book.settle()
    assert desk.gossiper.stopped(LOG.stream) is None
    assert desk.gossiper.pending(LOG.stream) == []
    assert desk.found == []
    assert (book.book.length(LOG.stream), book.head(LOG.stream)) == (9, LOG.head(9))
    assert book.refused == []


# ---- times ----


def test_timestamps_far_off_are_taken_and_bind_their_author_only() -> None:
    """SPEC streams 2: no receiver judges a timestamp by its own clock."""
    log, desk = Log(genesis_of()), BookDesk()
    desk.accepted.append(log.stream)
    desk.restart()
    log.write(stamp_ms=0)
    log.intend(1, stamp_ms=NUMBER_MAX)
    log.write(stamp_ms=NUMBER_MAX)
    log.intend(1, author=BOB, stamp_ms=0)
    late, early = [log.head(5, stamp_ms=stamp) for stamp in (NUMBER_MAX, 0)]
    desk.offer(*[replace(log.segment(0, 5), signed_head=head) for head in (late, early)])
    desk.settle()
    assert desk.refused == []
    assert desk.book.length(log.stream) == 5
    log.write(stamp_ms=START_MS)
    desk.offer(log.segment(5, 6))
    desk.settle()
    assert desk.refused == ["entry 5: its author's time runs backwards"]


def test_an_own_stream_goes_on_after_a_timestamp_far_off() -> None:
    """A clock that was wrong once does not end the stream."""
    desk, reader = BookDesk(), BookDesk()
    mine = genesis_of(BOB)
    desk.create(mine)
    desk.settle()
    desk.append(mine.stream, stamp_ms=NUMBER_MAX)
    desk.settle()
    last = desk.append(mine.stream, stamp_ms=START_MS)
    desk.settle()
    assert last in desk.appended
    assert desk.refusals == []
    log = Log(mine, ((0, BOB),), desk.leaves(mine.stream), [None] * 3)
    reader.accepted.append(mine.stream)
    reader.restart()
    reader.offer(log.segment(0, 3))
    reader.settle()
    assert reader.book.length(mine.stream) == 3


def test_a_head_with_a_timestamp_far_off_is_the_same_head(desk: Desk) -> None:
    for stamp_ms in (0, NUMBER_MAX):
        desk.hear(PETE, heads(alices(9, LOG.root(9), stamp_ms)))
    assert desk.found == []
    assert desk.logs[LOG.stream].signed == LOG.head(9)


# ---- numbers ----


def put_in(encoded: bytes, *path: int) -> Callable[[int], bytes]:
    """Other numbers in that place of it."""

    def with_number(number: int) -> bytes:
        def edited(value: Packable, path: tuple[int, ...]) -> Packable:
            if not path:
                return number
            assert isinstance(value, tuple)
            place, *rest = path
            inner = edited(value[place], tuple(rest))
            return (*value[:place], inner, *value[place + 1 :])

        return pack(edited(unpack(encoded, ""), path))

    return with_number


SHOWN = ShownHead(LOG.head(9))
COMPARE = g.encode(g.Compare(1, SHOWN, Prefix(9, (), ())))
ONE, OTHER = forked_log(2, 6, 7)
PROOF = encode_fork(proof_b(ONE, 3, OTHER, 7, 2))
PLACES: dict[str, tuple[Callable[[bytes], object], Callable[[int], bytes]]] = {
    "Head: length": (
        lambda data: read_signed_head(unpack(data, "")),
        put_in(pack(LOG.head(9).packable()), 0, 2),
    ),
    "Head: timestamp": (
        lambda data: read_signed_head(unpack(data, "")),
        put_in(pack(LOG.head(9).packable()), 0, 4),
    ),
    "segment: first": (read_segment, put_in(LOG.segment(3, 9).encoded, 2)),
    "compare: number": (g.read_message, put_in(COMPARE, 2)),
    "compare: length": (g.read_message, put_in(COMPARE, 4)),
    "proof: length": (read_fork, put_in(PROOF, 5)),
    "contents: place": (read_question, put_in(pack((1, LOG.stream, (1,))), 2, 0)),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("number", HUGE)
def test_lengths_of_2_63_are_malformed_wherever_they_stand(place: str, number: int) -> None:
    read, with_number = PLACES[place]
    read(with_number(2))
    with pytest.raises(Malformed):
        read(with_number(number))


@pytest.mark.parametrize("number", HUGE)
def test_notes_of_2_63_claim_nothing(number: int) -> None:
    assert parse_stream_notes({format_stream(LOG.stream): number}) == {}


# ---- proofs ----


def test_proofs_with_extra_or_missing_nodes_make_a_liar() -> None:
    one, other = forked_log(4, 9, 13)
    proof = proof_b(one, 9, other, 13, 7)
    assert proof.prefixes is not None
    for side in (0, 1):
        good = proof.prefixes[side]
        for wrong in (
            good._replace(peaks=good.peaks[:-1]),
            good._replace(peaks=(*good.peaks, good.peaks[0])),
            good._replace(frontier=good.frontier[:-1]),
            good._replace(frontier=(*good.frontier, good.peaks[0])),
        ):
            prefixes = (wrong, proof.prefixes[1]) if side == 0 else (proof.prefixes[0], wrong)
            desk = Desk()
            desk.take(one.genesis, one.segments(9))
            desk.meet(EVE, one.stream)
            desk.hear(EVE, g.Proofs((encode_fork(replace(proof, prefixes=prefixes)),)))
            assert [type(found) for found in desk.found] == [LiarFound]
            assert desk.gossiper.proofs(one.stream) == []
    desk.take(one.genesis, [])
    desk.meet(PETE, one.stream)
    desk.hear(PETE, g.Proofs((encode_fork(proof),)))
    assert desk.gossiper.proofs(one.stream) == [encode_fork(proof)]


def test_a_fork_that_is_forged_against_an_honest_owner_is_a_lie(desk: Desk) -> None:
    """Of all that alice signed, and of what others sign in her place."""
    twin = LOG.twin(5)
    twin.write("forged")
    for forged in (
        equal_fork(LOG.genesis, ShownHead(LOG.head(9)), ShownHead(LOG.head(9))),
        proof_a(LOG, Log(LOG.genesis, ((0, BOB),), twin.leaves), 6),
        replace(proof_a(LOG, twin, 6), other=ShownHead(LOG.head(6))),
    ):
        accused = Desk()
        accused.take(LOG.genesis, LOG.segments(LOG.length))
        accused.meet(EVE, LOG.stream)
        accused.hear(EVE, g.Proofs((encode_fork(forged),)))
        assert [type(found) for found in accused.found] == [LiarFound]
        assert accused.gossiper.stopped(LOG.stream) is None
