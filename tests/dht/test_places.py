"""What becomes of contacts, in tables of ids that are chosen (spec/dht.md 6)."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.ids import Identity, NodeId, closest
from qbix_node.dht.table import MISSES_MAX, MOVED_S, REPLACEMENTS_MAX, Contact, Table
from qbix_node.machines import PeerId

HERE = Endpoint(bytes((127, 0, 0, 1)), 4000)
OWN = NodeId(bytes(32))
ids = st.binary(min_size=32, max_size=32).map(NodeId)
# Ids that begin like our own are rare by chance, and fill the deep buckets.
near_ids = st.tuples(st.integers(0, 255), ids).map(
    lambda drawn: NodeId((int.from_bytes(drawn[1]) >> drawn[0]).to_bytes(32))
)
any_ids = st.one_of(ids, near_ids)
_steps = st.lists(st.tuples(st.booleans(), any_ids), max_size=200)


def who(named: NodeId) -> Identity:
    return Identity(PeerId(named), named, int.from_bytes(named))


def table_of(own: NodeId = OWN, size: int = 4) -> Table:
    return Table(who(own), size)


def contact(named: NodeId, endpoint: Endpoint = HERE) -> Contact:
    return Contact(who(named), endpoint)


def far(number: int) -> NodeId:
    """In the half of all ids that our own is not in."""
    return NodeId((1 << 255 | number).to_bytes(32))


def names(contacts: list[Contact]) -> list[NodeId]:
    return [each.id for each in contacts]


def endpoints(table: Table) -> list[Endpoint]:
    return [each.endpoint for each in table]


def public(last: int) -> Endpoint:
    return Endpoint(bytes((8, 8, 0, last)), 4000)


@given(any_ids, _steps, any_ids)
def test_buckets_stay_in_order_whatever_happens(
    own: NodeId, happened: list[tuple[bool, NodeId]], target: NodeId
) -> None:
    table, known = table_of(own), list[NodeId]()
    for answers, each in happened:
        if answers or not known:
            table.answered(contact(each), 1.0)
            known.append(each)
        else:
            table.missed(contact(known[each[0] % len(known)]))
    lows = [bucket.range.low for bucket in table.buckets]
    highs = [bucket.range.high for bucket in table.buckets]
    assert [0, *(each + 1 for each in highs)] == [*lows, 2**256]
    for bucket in table.buckets:
        assert len(bucket) <= 4
        assert len(bucket.replacement_nodes) <= REPLACEMENTS_MAX
        assert all(bucket.has_in_range(each) for each in bucket.nodes.values())
        assert not bucket.nodes.keys() & bucket.replacement_nodes.keys()
    assert table.get(own) is None
    everyone = [each.id for each in table]
    assert names(table.closest(int.from_bytes(target), 20)) == closest(everyone, target, 20)


def test_who_is_known_longest_stays_and_the_newest_waits() -> None:
    table = table_of()
    for number in range(20):
        table.answered(contact(far(number)), float(number))
    assert names(list(table.bucket_of(1 << 255).nodes.values())) == [far(each) for each in range(4)]
    waiting = [*table.bucket_of(1 << 255).replacement_nodes]
    assert waiting == [far(each) for each in range(20 - REPLACEMENTS_MAX, 20)]


def test_a_miss_elsewhere_is_no_miss() -> None:
    table = table_of()
    table.answered(contact(far(0)), 1.0)
    for _ in range(MISSES_MAX):
        table.missed(contact(far(0), Endpoint(HERE.ip, 9)))
    assert table.get(far(0)) is not None


def test_a_contact_that_missed_is_not_told() -> None:
    table = table_of()
    for number in range(2):
        table.answered(contact(far(number)), 1.0)
    table.missed(contact(far(0)))
    assert names(table.closest(1 << 255, 4, sure=True)) == [far(1)]


def test_a_contact_that_missed_and_answers_elsewhere_has_moved() -> None:
    table, there = table_of(), Endpoint(HERE.ip, 9)
    table.answered(contact(far(0)), 1.0)
    table.answered(contact(far(0), there), 2.0)
    assert endpoints(table) == [HERE], "it had not missed: there may be a relay"
    table.missed(contact(far(0)))
    table.answered(contact(far(0), there), 3.0)
    assert endpoints(table) == [there]


def test_who_seems_to_be_elsewhere_is_first_asked_where_it_was() -> None:
    table, there = table_of(), Endpoint(HERE.ip, 9)

    def wanted(endpoint: Endpoint, now: float) -> Endpoint | None:
        asked = table.wants(who(far(0)), endpoint, now)
        return asked and asked.endpoint

    table.answered(contact(far(0)), 1.0)
    assert wanted(there, 2.0) is None
    assert wanted(there, 2.0 + MOVED_S) == HERE
    assert wanted(HERE, 2.0 + MOVED_S) is None
    table.missed(contact(far(0)))
    assert wanted(there, 2.0) == there


def test_who_misses_while_nobody_answers_stays_until_somebody_does() -> None:
    table = table_of()
    table.answered(contact(far(0)), 1.0)
    for _ in range(2 * MISSES_MAX):
        table.missed(contact(far(0)), 2.0, heard_at=1.0)
    assert len(table) == 1
    assert table.closest(1 << 255, 4, sure=True) == []
    table.missed(contact(far(0)), 9.0, heard_at=3.0)
    assert len(table) == 0


def test_one_subnet_does_not_take_all_spare_places() -> None:
    table = table_of(size=4)
    for number in range(4):
        table.answered(contact(far(number), Endpoint(bytes((9, number, 0, 1)), 1)), 1.0)
    for number in range(10, 40):
        table.answered(contact(far(number), Endpoint(bytes((9, number, 0, 1)), 1)), 2.0)
        table.answered(contact(far(100 + number), public(number)), 2.0)
    spare = table.bucket_of(1 << 255).replacement_nodes.values()
    assert sum(each.ip[:3] == public(0).ip[:3] for each in spare) == 2
    assert len(spare) == REPLACEMENTS_MAX


def test_a_place_that_gets_free_can_be_taken_by_the_same_subnet() -> None:
    table = table_of(size=20)
    for number in range(3):
        table.answered(contact(far(number), public(number)), 1.0)
    for _ in range(MISSES_MAX):
        table.missed(contact(far(0), public(0)))
    assert table.answered(contact(far(2), public(2)), 2.0)


def test_importing_the_package_starts_no_event_loop() -> None:
    code = (
        "import sys, threading, warnings; warnings.simplefilter('error');"
        "import qbix_node.dht.machine; import asyncio;"
        "assert asyncio._get_running_loop() is None; assert threading.active_count() == 1"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
