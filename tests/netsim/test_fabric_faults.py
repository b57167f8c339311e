"""What goes wrong on the way, and that streams are streams all the same."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.chance import Chance
from netsim.fabric.path import Path
from netsim.plan import Conditions, Fault, PlannedFault, Range
from tests.netsim.network import LATENCY_S, STILL, Network, Side

A, B, C = 0, 1, 2
FAR = Conditions(latency_s=Range(LATENCY_S, LATENCY_S), jitter_s=0.0)
QUALITIES = (
    *(Fault.LATENCY, Fault.JITTER, Fault.LOSS, Fault.DUPLICATE, Fault.REORDER),
    *(Fault.PARTITION, Fault.ONE_WAY, Fault.HOLD),
)


def about(when: float) -> object:
    return pytest.approx(when, abs=1e-3)


def took_s(network: Network, sender: Side, receiver: Side, payload: str = "?") -> float:
    """How long a packet is on its way now."""
    began_s = network.loop.now
    sender.say(payload)
    network.run()
    return [at_s for at_s, each in receiver.heard if each == payload][-1] - began_s


# ---- qualities of paths ----


def test_latency_is_added_each_way_and_taken_away_at_the_end() -> None:
    network = Network()
    ours, theirs = network.connect()
    first, second = (network.begin(Fault.LATENCY, B, amount=amount) for amount in (1.0, 0.5))
    assert took_s(network, ours, theirs) == about(LATENCY_S + 1.5)
    assert took_s(network, theirs, ours) == about(LATENCY_S + 1.5)
    network.fabric.end(first)
    assert took_s(network, ours, theirs) == about(LATENCY_S + 0.5)
    network.fabric.end(second)
    assert took_s(network, ours, theirs) == about(LATENCY_S)


def test_a_fault_of_others_does_not_concern_a_path() -> None:
    network = Network()
    ours, theirs = network.connect()
    network.begin(Fault.LATENCY, C, amount=1.0)
    assert took_s(network, ours, theirs) == about(LATENCY_S)


def test_a_fault_without_nodes_concerns_all_paths_also_new_ones() -> None:
    network = Network()
    network.begin(Fault.LATENCY, amount=0.2)
    ours, theirs = network.connect()
    assert took_s(network, ours, theirs) == about(LATENCY_S + 0.2)


def test_jitter_is_drawn_for_each_packet() -> None:
    network = Network()
    ours, theirs = network.connect()
    network.begin(Fault.JITTER, A, amount=1.0)
    times = {round(took_s(network, ours, theirs), 6) for _ in range(10)}
    assert len(times) == 10
    assert all(LATENCY_S <= each <= LATENCY_S + 1 for each in times)


def test_the_narrowest_of_several_bandwidths_counts() -> None:
    network = Network(FAR)
    ours, theirs = network.connect()
    wide, narrow = (network.begin(Fault.BANDWIDTH, A, amount=amount) for amount in (1600, 160))
    assert took_s(network, ours, theirs) == about(LATENCY_S + 1.0)
    network.fabric.end(narrow)
    assert took_s(network, ours, theirs) == about(LATENCY_S + 0.1)
    network.fabric.end(wide)
    assert took_s(network, ours, theirs) == about(LATENCY_S)


def test_a_lost_packet_is_sent_again_and_what_is_behind_it_waits() -> None:
    network = Network()
    ours, theirs = network.connect()
    loss = network.begin(Fault.LOSS, A, amount=0.999999)
    began_s = network.loop.now
    ours.say("lost")
    network.fabric.end(loss)
    ours.say("behind it")
    network.run()
    assert theirs.payloads == ["lost", "behind it"]
    assert [at_s - began_s for at_s, _ in theirs.heard] == [about(0.2 + LATENCY_S)] * 2
    assert network.kinds() == ["SENT", "DROPPED", "SENT", "SENT", "DELIVERED", "DELIVERED"]


def test_a_host_without_power_sends_nothing_again() -> None:
    network = Network()
    ours, theirs = network.connect()
    loss = network.begin(Fault.LOSS, A, amount=0.999999)
    ours.say("lost")
    network.fabric.end(loss)
    network.fabric.vanish(A)
    network.run()
    assert theirs.heard == []


def test_when_all_is_lost_all_waits_for_the_end_of_it() -> None:
    network = Network()
    ours, theirs = network.connect()
    loss = network.begin(Fault.LOSS, A, amount=1.0)
    ours.say("lost")
    network.run(100.0)
    network.fabric.end(loss)
    network.run()
    assert [at_s < 101 for at_s, _ in theirs.heard] == [True]


def test_a_packet_lost_again_and_again_is_sent_after_twice_as_long() -> None:
    network = Network()
    ours, theirs = network.connect()
    loss = network.begin(Fault.LOSS, A, amount=0.999999)
    began_s = network.loop.now
    ours.say("lost")
    network.run(began_s + 1.0)
    network.fabric.end(loss)
    network.run()
    assert theirs.heard == [(about(began_s + 0.2 + 0.4 + 0.8 + LATENCY_S), "lost")]


def test_duplicates_on_a_stream_cost_bandwidth_only() -> None:
    network = Network(Conditions(Range(0.1, 0.1), 0.0, bandwidth_bytes_s=1600))
    ours, theirs = network.connect()
    network.begin(Fault.DUPLICATE, A, amount=0.999999)
    assert took_s(network, ours, theirs) == about(0.3)
    assert theirs.payloads == ["?"]


def test_what_is_behind_a_late_packet_waits_for_it() -> None:
    network = Network()
    ours, theirs = network.connect()
    late = network.begin(Fault.REORDER, A, amount=0.999999)
    ours.say("late")
    network.fabric.end(late)
    ours.say("behind it")
    network.run()
    assert theirs.payloads == ["late", "behind it"]
    first_s, second_s = [at_s for at_s, _ in theirs.heard]
    assert first_s == second_s


# ---- cuts ----


def test_a_cut_resets_both_sides_once() -> None:
    network = Network()
    ours, theirs = network.connect()
    network.fabric.cut(B)
    network.run()
    for side in (ours, theirs):
        assert [reason for _, reason in side.closed] == ["reset: the connection was cut"]
    network.connect()


def test_a_partition_lets_nothing_pass_and_streams_go_on_after_it() -> None:
    network = Network()
    ours, theirs = network.connect()
    partition = network.begin(Fault.PARTITION, A)
    ours.say("a", "b")
    theirs.say("c")
    network.run(20.0)
    assert theirs.heard == ours.heard == []
    network.fabric.end(partition)
    network.run()
    assert theirs.payloads == ["a", "b"]
    assert ours.payloads == ["c"]
    assert all(20.0 < at_s < 21.0 for at_s, _ in theirs.heard + ours.heard)


def test_within_each_side_of_a_partition_all_is_well() -> None:
    network = Network()
    ours, theirs = network.connect(A, B)
    network.begin(Fault.PARTITION, A, B)
    assert took_s(network, ours, theirs) == about(LATENCY_S)


def test_of_two_partitions_one_that_ends_leaves_the_other() -> None:
    network = Network()
    ours, theirs = network.connect()
    first, second = network.begin(Fault.PARTITION, A), network.begin(Fault.ONE_WAY, A)
    ours.say("a")
    network.fabric.end(first)
    network.run()
    assert theirs.heard == []
    network.fabric.end(second)
    network.run()
    assert theirs.payloads == ["a"]


def test_what_is_under_way_when_a_partition_begins_waits_too() -> None:
    network = Network()
    ours, theirs = network.connect()
    ours.say("a")
    partition = network.begin(Fault.PARTITION, A)
    ours.say("b")
    network.run()
    assert theirs.heard == []
    network.fabric.end(partition)
    ours.say("c")
    network.run()
    assert theirs.payloads == ["a", "b", "c"]


def test_a_half_open_stream_passes_one_way_only() -> None:
    network = Network()
    ours, theirs = network.connect()
    one_way = network.begin(Fault.ONE_WAY, A)
    ours.say("a")
    theirs.say("b")
    network.run()
    assert (ours.payloads, theirs.payloads) == (["b"], [])
    assert theirs.end.in_flight == 100  # no acknowledgement comes back
    network.fabric.end(one_way)
    network.run()
    assert theirs.payloads == ["a"]
    assert theirs.end.in_flight == 0


def test_the_nodes_that_nobody_else_can_hear_hear_each_other() -> None:
    network = Network()
    ours, theirs = network.connect(A, B)
    network.begin(Fault.ONE_WAY, A, B)
    assert took_s(network, ours, theirs) == about(LATENCY_S)


def test_who_hears_nothing_gives_a_half_open_stream_up_and_the_other_side_learns_it() -> None:
    network = Network(silence_s=30)
    ours, theirs = network.connect()
    network.begin(Fault.ONE_WAY, A)
    network.run()
    assert theirs.closed == [(about(31.0), "silent for 30 s")]
    assert [at_s for at_s, _ in ours.closed] == [about(31.0 + LATENCY_S)]


def test_in_a_long_partition_both_sides_give_up() -> None:
    network = Network(silence_s=30)
    sides = network.connect()
    network.begin(Fault.PARTITION, A)
    network.run()
    for side in sides:
        assert side.closed == [(about(31.0), "silent for 30 s")]


def test_silence_is_counted_anew_after_each_partition() -> None:
    network = Network(silence_s=30)
    ours, theirs = network.connect()
    for _ in range(3):
        partition = network.begin(Fault.PARTITION, A)
        network.run(network.loop.now + 20)
        network.fabric.end(partition)
        network.run(network.loop.now + 0.5)
    network.run()
    assert ours.closed == theirs.closed == []
    assert network.loop.next_at() == math.inf


def test_the_end_of_a_partition_is_no_sign_of_life_of_a_host_without_power() -> None:
    network = Network(silence_s=30)
    _, theirs = network.connect()
    network.fabric.vanish(A)
    network.fabric.end(network.begin(Fault.PARTITION, A))
    network.run()
    assert theirs.closed == [(about(31.0), "silent for 30 s")]


def test_a_reset_that_can_not_pass_is_found_out_later() -> None:
    network = Network(silence_s=30)
    ours, theirs = network.connect()
    partition = network.begin(Fault.PARTITION, A)
    ours.end.reset()
    network.run(10.0)
    assert theirs.closed == []
    network.fabric.end(partition)
    network.run()
    ((at_s, reason),) = theirs.closed
    assert (at_s < 15, reason) == (True, "reset: nobody there")


def test_the_end_of_a_killed_process_is_told_after_a_partition() -> None:
    network = Network()
    ours, theirs = network.connect()
    partition = network.begin(Fault.PARTITION, A)
    ours.say("last words")
    network.fabric.kill(A)
    network.run()
    assert theirs.closed == []
    network.fabric.end(partition)
    network.run()
    assert theirs.payloads == ["last words"]
    assert [reason for _, reason in theirs.closed] == [""]


def test_a_dial_into_a_partition_times_out_or_is_answered_after_it() -> None:
    network = Network()
    network.boot(A, B, C)
    partition = network.begin(Fault.PARTITION, B)
    network.dial(A, B)
    network.run(12.0)
    network.dial(C, B)
    network.run(14.0)
    network.fabric.end(partition)
    network.run()
    (late, refused, why_not), (at_s, answered, _) = network.answers
    assert (late, refused, why_not) == (about(10.0), None, "timed out")
    assert answered is not None
    assert at_s < 16


@pytest.mark.parametrize("unheard", [A, B])
def test_a_dial_needs_both_ways(unheard: int) -> None:
    network = Network()
    network.boot(A, B)
    network.dial(A, B)
    network.begin(Fault.ONE_WAY, unheard)
    network.run()
    assert network.answers == [(about(10.0), None, "timed out")]
    assert len(network.accepted) == int(unheard == B)


def test_a_refusal_may_get_lost_too() -> None:
    network = Network()
    network.dial(A, B)
    network.begin(Fault.ONE_WAY, B)
    network.run()
    assert network.answers == [(about(10.0), None, "timed out")]


def test_a_dial_is_repeated_when_it_is_lost() -> None:
    network = Network()
    network.boot(A, B)
    loss = network.begin(Fault.LOSS, A, amount=0.999999)
    network.dial(A, B)
    network.run(0.5)
    network.fabric.end(loss)
    network.run()
    assert network.answers[0][0] == about(1 + 2 * LATENCY_S)


# ---- datagrams ----


def send_hundred(network: Network) -> list[int]:
    network.boot(A, B)
    for number in range(100):
        network.fabric.datagram(A, B, bytes([number]))
    network.run()
    return [datagram[0] for _, _, _, datagram in network.datagrams]


def test_datagrams_are_really_lost() -> None:
    network = Network()
    network.begin(Fault.LOSS, amount=0.5)
    arrived = send_hundred(network)
    assert 20 < len(arrived) < 80
    assert network.kinds().count("DROPPED") == 100 - len(arrived)


def test_datagrams_arrive_twice() -> None:
    network = Network()
    network.begin(Fault.DUPLICATE, amount=0.5)
    assert 120 < len(send_hundred(network)) < 180


def test_datagrams_overtake_each_other() -> None:
    network = Network(Conditions(Range(0.1, 0.1), 0.0, bandwidth_bytes_s=1e4))
    network.begin(Fault.REORDER, amount=0.3)
    arrived = send_hundred(network)
    assert sorted(arrived) == [*range(100)]
    assert arrived != sorted(arrived)


def test_datagrams_do_not_pass_a_partition() -> None:
    network = Network()
    partition = network.begin(Fault.PARTITION, A)
    assert send_hundred(network) == []
    network.fabric.end(partition)
    network.run()
    assert network.datagrams == []


def test_what_is_held_passes_at_the_end_even_datagrams() -> None:
    network = Network()
    ours, theirs = network.connect()
    hold = network.begin(Fault.HOLD, A)
    ours.say("a")
    assert send_hundred(network) == []
    network.fabric.end(hold)
    network.run()
    assert len(network.datagrams) == 100
    assert theirs.payloads == ["a"]


def test_what_is_held_does_not_pass_a_partition() -> None:
    network = Network()
    hold, partition = network.begin(Fault.HOLD, A), network.begin(Fault.PARTITION, A)
    assert send_hundred(network) == []
    network.fabric.end(hold)
    network.fabric.end(partition)
    network.run()
    assert network.datagrams == []


def test_who_speaks_to_itself_is_beyond_all_faults() -> None:
    network = Network()
    network.boot(A)
    network.begin(Fault.PARTITION)
    network.begin(Fault.LOSS, A, amount=0.999999)
    network.fabric.broadcast(A, b"here I am")
    network.run()
    assert len(network.datagrams) == 1


# ---- chance ----


def luck(path: Path, count: int) -> list[bool]:
    return [path.luck().lost for _ in range(count)]


def test_taking_one_fault_away_leaves_the_draws_of_the_others() -> None:
    early = PlannedFault(1.0, 1.0, Fault.LOSS, (A,), 0.5)
    late = PlannedFault(5.0, 1.0, Fault.LOSS, (A,), 0.5)
    other = PlannedFault(2.0, 9.0, Fault.REORDER, (A,), 0.5)

    def drawn(*faults: PlannedFault) -> list[bool]:
        path = Path(A, B, Chance(7), STILL)
        for fault in faults:
            path.begin(fault)
            luck(path, 10)
            if fault is early:
                path.end(fault)
        return luck(path, 50)

    assert drawn(early, other, late) == drawn(late) == drawn(other, late)
    assert drawn(early, late) != drawn(early)


def test_of_two_equal_faults_each_hits_by_itself() -> None:
    path = Path(A, B, Chance(7), STILL)
    path.begin(PlannedFault(1.0, 1.0, Fault.LOSS, (), 0.5))
    path.begin(PlannedFault(2.0, 1.0, Fault.LOSS, (), 0.5))
    assert 0.7 < sum(luck(path, 1000)) / 1000 < 0.8


def test_the_latency_of_a_path_is_the_same_both_ways_and_in_every_run_of_a_seed() -> None:
    wide = Conditions(latency_s=Range(0.01, 1.0))
    there, back, other = (
        Path(A, B, Chance(7), wide),
        Path(B, A, Chance(7), wide),
        Path(A, C, Chance(7), wide),
    )
    assert there.latency_s == back.latency_s != other.latency_s


# ---- whatever happens ----

moments = st.floats(0, 60)
planned_faults = st.builds(
    PlannedFault,
    at_s=moments,
    for_s=st.floats(0.1, 25),
    fault=st.sampled_from(QUALITIES),
    nodes=st.sampled_from([(), (A,), (B,), (C,)]),
    amount=st.floats(0.05, 0.9),
)


def go_through(network: Network, faults: list[PlannedFault], said: list[float]) -> list[Side]:
    sides = list(network.connect())
    for fault in faults:
        network.loop.at(1 + fault.at_s, network.fabric.begin, fault)
        network.loop.at(1 + fault.at_s + fault.for_s, network.fabric.end, fault)
    for number, at_s in enumerate(sorted(said)):
        for side in sides:
            network.loop.at(1 + at_s, side.say, number)
    network.run()
    return sides


@given(st.lists(planned_faults, max_size=6), st.lists(moments, max_size=30), st.integers(0, 99))
def test_a_stream_that_stays_up_loses_nothing_and_keeps_its_order(
    faults: list[PlannedFault], said: list[float], seed: int
) -> None:
    sides = go_through(Network(Conditions(), seed=seed), faults, said)
    for side in sides:
        assert side.payloads == [*range(len(said))]
        assert side.end.in_flight == 0
        assert side.closed == []


@given(
    st.lists(planned_faults, max_size=6),
    st.lists(moments, max_size=30),
    st.sampled_from(["close", "reset", "kill", "vanish", "cut"]),
    moments,
    st.booleans(),
)
def test_a_stream_that_ends_has_kept_its_order_and_ends_for_both(
    faults: list[PlannedFault], said: list[float], ending: str, ended_at: float, back: bool
) -> None:
    network = Network(Conditions(), silence_s=30)

    def end(side: Side) -> None:
        match ending:
            case "close":
                side.end.close()
            case "reset":
                side.end.reset()
            case _:
                getattr(network.fabric, ending)(A)

    network.loop.at(1 + ended_at, lambda: end(network.answers[0][1]))  # type: ignore[arg-type]
    if back:
        network.loop.at(2 + ended_at, network.boot, A)
    for side in go_through(network, faults, said):
        assert side.payloads == [*range(len(side.payloads))]
        assert side.end.over
        assert len(side.closed) <= 1
        assert side.end.path.ends == ()
        assert not side.end.path.waiting


def test_the_same_faults_give_the_same_deliveries() -> None:
    faults = [
        PlannedFault(3.0 * place, 5.0, kind, (A,) if place % 2 else (), 0.4)
        for place, kind in enumerate(QUALITIES)
    ]

    def trace(seed: int) -> str:
        network = Network(seed=seed, silence_s=30)
        go_through(network, faults, [0.5 * n for n in range(60)])
        return network.trace.hexdigest()

    assert trace(1) == trace(1)
    assert trace(1) != trace(2)
