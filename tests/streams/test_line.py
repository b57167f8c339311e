"""What the store says of authors and bases, before intents are judged."""

from dataclasses import dataclass, field

import pytest

from qbix_node.ports import Put
from qbix_node.store.memory import MemoryDisk
from qbix_node.streams.growth import Facts, Needs
from qbix_node.streams.line import FactsOf
from qbix_node.streams.owners import AuthorId
from qbix_node.streams.records import BLOCKS_MAX, LEAVES, AuthorState, put_author
from tests.streams.desk import Desk
from tests.streams.logs import BOB, CAROL, alices_log

LOG = alices_log((BLOCKS_MAX + 3) * 256 + 1)
CAROLS, BOBS = AuthorId(CAROL.public), AuthorId(BOB.public)


@dataclass
class CountedRows:
    disk: MemoryDisk
    runs_read: list[bytes] = field(default_factory=list)

    def get(self, key: bytes) -> bytes | None:
        return self.disk.get(key)

    def scan(
        self, start: bytes, stop: bytes, *, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        found = self.disk.scan(start, stop, limit=limit, reverse=reverse)
        self.runs_read += [key for key, _ in found if key.startswith(LEAVES)]
        return found


@pytest.fixture
def rows() -> CountedRows:
    desk = Desk([LOG.stream])
    for first in range(0, LOG.length, 256):
        desk.offer(LOG.segment(first, min(first + 256, LOG.length)))
        desk.settle()
    author = put_author(LOG.stream, CAROLS, AuthorState(7, 8))
    desk.disk.append([Put(author.key, author.value)])
    desk.disk.sync()
    return CountedRows(desk.disk)


def test_authors_who_wrote_here_and_roots_of_lengths_that_are_here_are_known(
    rows: CountedRows,
) -> None:
    question = FactsOf(LOG.stream, Needs((CAROLS, BOBS), (601, 1, 300, 512, 600)), 600)
    roots = {length: LOG.root(length) for length in (1, 300, 512, 600)}
    assert question.answer(rows) == Facts({CAROLS: AuthorState(7, 8)}, roots)


def test_of_a_stream_that_is_not_here_nothing_is_known() -> None:
    question = FactsOf(LOG.stream, Needs((CAROLS,), (1, 2)), 0)
    assert question.answer(MemoryDisk()) == Facts({}, {})


def test_many_bases_of_one_time_cost_as_many_reads_as_one(rows: CountedRows) -> None:
    """The answer is wanted in about a millisecond, whatever the bases that a peer made up."""
    FactsOf(LOG.stream, Needs((), tuple(range(257, 513))), 600).answer(rows)
    assert len(rows.runs_read) <= 2


def test_bases_all_over_the_log_cost_one_read_of_each_run(rows: CountedRows) -> None:
    """In whatever order they come, and though not all that is read is remembered."""
    blocks = BLOCKS_MAX + 3
    bases = [256 * block + 255 - place for place in range(5) for block in range(blocks)]
    FactsOf(LOG.stream, Needs((), tuple(bases)), LOG.length).answer(rows)
    assert len(set(rows.runs_read)) >= blocks
    assert len(rows.runs_read) <= 2 * blocks
