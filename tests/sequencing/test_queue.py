"""Whose turn it is, and whose signatures are taken."""

from itertools import chain, combinations

from hypothesis import given
from hypothesis import strategies as st

from qbix_node.machines import PeerId
from qbix_node.sequencing.messages import LEAVES_MAX
from qbix_node.sequencing.proposals import exactly_enough
from qbix_node.sequencing.queue import RUN_BYTES_MAX, Asker, Queue, Waiting
from qbix_node.streams.authoring import make_header
from qbix_node.streams.messages import NewEntry
from qbix_node.streams.owners import AuthorId, Owners
from qbix_node.wire.references import StreamId

STREAM = StreamId(bytes(32))


def waiting(author: int, number: int, content: bytes = b"", *, owner: bool = False) -> Waiting:
    key = AuthorId(bytes([author]) * 32)
    header = make_header(STREAM, 1 + number, key, NewEntry("note", content), 0)
    return Waiting(header, content, Asker(PeerId(key), number), owner)


def test_authors_take_turns_and_each_keeps_its_order() -> None:
    queue = Queue()
    for number in range(3):
        queue.add(waiting(1, number, owner=True))
    queue.add(waiting(2, 0))
    queue.add(waiting(3, 0))
    drawn = queue.draw()
    assert [(each.header.author[0], each.asker.number) for each in drawn] == [
        *((1, 0), (2, 0), (3, 0)),
        *((1, 1), (1, 2)),
    ]
    assert not queue
    assert (queue.entries, queue.bytes) == (0, 0)
    queue = Queue()
    queue.put_back(drawn)
    queue.add(waiting(2, 1))
    assert queue.entries == 3
    assert sorted(each.asker.number for each in queue.draw()) == [0, 0, 0, 1, 1, 2]
    assert (queue.entries, queue.bytes) == (0, 0)


def test_a_run_holds_so_many_entries_and_bytes() -> None:
    queue, content = Queue(), bytes(64 * 1024)
    for number in range(20):
        queue.add(waiting(1, number, content, owner=True))
    first = queue.draw()
    assert len(first) * len(content) <= RUN_BYTES_MAX
    assert [each.asker.number for each in [*first, *queue.draw()]] == list(range(2 * len(first)))
    small = Queue()
    for author in range(LEAVES_MAX + 10):
        small.add(waiting(author, 0))
    assert len(small.draw()) == LEAVES_MAX
    assert len(small.draw()) == 10


weights = st.lists(st.integers(1, 9), min_size=1, max_size=6)


@given(weights, st.data())
def test_exactly_enough_is_taken_of_whoever_signed(given_: list[int], data: st.DataObject) -> None:
    threshold = data.draw(st.integers(1, sum(given_)))
    owners = Owners(
        tuple([(AuthorId(bytes([at]) * 32), each) for at, each in enumerate(given_)]), threshold
    )
    everybody = range(len(given_))
    subsets = chain.from_iterable(combinations(everybody, size) for size in range(len(given_) + 1))
    for signed in subsets:
        taken = exactly_enough(owners, signed)
        if sum([given_[each] for each in signed]) < threshold:
            assert taken is None
            continue
        assert taken is not None
        assert set(taken) <= set(signed)
        spare = sum([given_[each] for each in taken]) - threshold
        assert all(given_[each] > spare >= 0 for each in taken)
