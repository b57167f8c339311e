"""Streams and datagrams while nothing is wrong, and how they end."""

import math

import pytest

from netsim.fabric import Fabric
from netsim.plan import Conditions, Fault, Range
from qbix_node.net.limits import Limits
from tests.netsim.network import LATENCY_S, Network

A, B, C = 0, 1, 2
WINDOW = Fabric.window


def about(when: float) -> object:
    return pytest.approx(when, abs=1e-3)


# ---- dials ----


def test_a_dial_takes_a_round_trip_and_gives_both_sides_an_end() -> None:
    network = Network()
    ours, theirs = network.connect(A, B)
    assert network.answers[0][0] == about(2 * LATENCY_S)
    assert (ours.end.node, ours.end.other) == (A, B)
    assert (theirs.end.node, theirs.end.other) == (B, A)


def test_who_does_not_listen_refuses() -> None:
    network = Network()
    network.dial(A, B)
    network.run()
    assert network.answers == [(about(2 * LATENCY_S), None, "connection refused")]


def test_a_dial_of_a_host_without_power_times_out() -> None:
    network = Network()
    network.boot(B)
    network.fabric.vanish(B)
    network.dial(A, B)
    network.run()
    assert network.answers == [(about(10.0), None, "timed out")]


def test_a_dial_is_answered_by_a_host_that_came_up_meanwhile() -> None:
    network = Network()
    network.boot(B)
    network.fabric.vanish(B)
    network.dial(A, B)
    network.run(2.0)
    network.boot(B)
    network.run()
    ((at_s, side, _),) = network.answers
    assert side is not None
    assert at_s == about(3 + 2 * LATENCY_S)  # it knocked after 1 and 3 seconds


def test_nobody_is_answered_after_the_end_of_the_process() -> None:
    network = Network()
    network.boot(A, B)
    network.dial(A, B)
    network.run(0.15)
    network.fabric.kill(A)
    network.run()
    assert network.answers == []
    (theirs,) = network.accepted
    assert [reason for _, reason in theirs.closed] == [""]


def test_a_dial_that_was_given_up_leaves_no_stream_behind() -> None:
    network = Network()
    network.boot(A, B)
    hold = network.begin(Fault.ONE_WAY, B)
    network.dial(A, B)
    network.run(11.0)
    network.fabric.end(hold)
    network.run()
    assert [why_not for _, _, why_not in network.answers] == ["timed out"]
    (theirs,) = network.accepted
    assert theirs.end.over


# ---- streams ----


def test_what_is_sent_arrives_in_order_both_ways() -> None:
    network = Network(Conditions(jitter_s=0.5))
    ours, theirs = network.connect()
    ours.say(*range(50))
    theirs.say(*range(50, 100))
    network.run()
    assert theirs.payloads == [*range(50)]
    assert ours.payloads == [*range(50, 100)]


def test_bandwidth_lets_one_packet_pass_after_the_other() -> None:
    network = Network(Conditions(Range(0.1, 0.1), jitter_s=0.0, bandwidth_bytes_s=1000))
    ours, theirs = network.connect()
    began_s = network.loop.now
    ours.say("first", "second", size=940)  # and 60 of headers
    network.run()
    arrivals = [at_s - began_s for at_s, _ in theirs.heard]
    assert arrivals == [about(1.1), about(2.1)]


def test_what_was_sent_is_in_flight_until_it_arrives() -> None:
    network = Network()
    ours, _ = network.connect()
    ours.say("a", size=WINDOW // 2)
    ours.say("b", "c", size=WINDOW // 2)
    assert ours.end.in_flight == 3 * (WINDOW // 2)
    network.run()
    assert ours.end.in_flight == 0
    assert len(ours.drained) == 1  # once: when it fell below the window


def test_the_other_side_hears_of_the_end_after_all_that_was_sent() -> None:
    network = Network(Conditions(Range(0.1, 0.1), bandwidth_bytes_s=1000))
    ours, theirs = network.connect()
    ours.say("a", "b")
    ours.end.close()
    network.run()
    assert theirs.payloads == ["a", "b"]
    assert [reason for _, reason in theirs.closed] == [""]
    assert ours.closed == []  # who closes knows


def test_who_has_closed_hears_no_more() -> None:
    network = Network()
    ours, theirs = network.connect()
    theirs.say("late")
    ours.end.close()
    network.run()
    assert ours.heard == []
    assert theirs.end.over


def test_what_who_has_closed_does_not_want_keeps_nothing_from_the_other_side() -> None:
    network = Network(Conditions(Range(0.1, 0.1), bandwidth_bytes_s=1000))
    ours, theirs = network.connect()
    ours.say(*range(20))
    ours.end.close()
    theirs.say("in vain")
    network.run()
    assert theirs.payloads == [*range(20)]


def test_both_sides_may_close_at_once() -> None:
    network = Network()
    ours, theirs = network.connect()
    ours.end.close()
    theirs.end.close()
    network.run()
    assert ours.closed == theirs.closed == []


def test_a_reset_overtakes_what_has_not_left() -> None:
    network = Network(Conditions(Range(0.1, 0.1), bandwidth_bytes_s=1000))
    ours, theirs = network.connect()
    ours.say(*range(100))
    ours.end.reset("enough")
    network.run()
    assert len(theirs.heard) < 3
    assert [reason for _, reason in theirs.closed] == ["enough"]


def test_nothing_passes_over_an_end_that_is_over() -> None:
    network = Network()
    ours, theirs = network.connect()
    ours.end.close()
    ours.say("more")
    ours.end.reset()
    network.run()
    assert theirs.heard == []
    assert len(theirs.closed) == 1


def test_who_reads_nothing_fills_the_window_of_the_other_side() -> None:
    network = Network()
    ours, theirs = network.connect()
    theirs.end.reads_bytes_s = 0
    ours.say("a", size=WINDOW)
    network.run()
    assert (ours.end.in_flight, ours.drained) == (WINDOW, [])
    theirs.end.reads_bytes_s = math.inf
    network.run()
    assert ours.end.in_flight == 0
    assert len(ours.drained) == 1


def test_who_reads_slowly_lets_the_other_side_send_as_slowly() -> None:
    network = Network()
    ours, theirs = network.connect()
    theirs.end.reads_bytes_s = 1000
    began_s = network.loop.now
    ours.say("a", "b", size=500)
    network.run(began_s + LATENCY_S + 0.75)
    assert ours.end.in_flight == 500
    network.run(began_s + LATENCY_S + 1.25)
    assert ours.end.in_flight == 0


def test_what_is_read_faster_than_it_began_is_read_once() -> None:
    network = Network()
    ours, theirs = network.connect()
    theirs.end.reads_bytes_s = 100
    ours.say("a", size=500)
    network.run(network.loop.now + 1)
    theirs.end.reads_bytes_s = math.inf
    network.run(network.loop.now + 1)
    assert ours.end.in_flight == 0
    network.run()
    assert ours.end.in_flight == 0


# ---- the end of a process, and of a host ----


def test_a_killed_process_is_said_goodbye_for() -> None:
    network = Network()
    ours, theirs = network.connect()
    ours.say("a")
    network.fabric.kill(A)
    network.run()
    assert theirs.payloads == ["a"]
    assert [reason for _, reason in theirs.closed] == [""]
    assert ours.closed == []


def test_a_host_without_power_says_nothing() -> None:
    network = Network()
    ours, theirs = network.connect()
    network.fabric.vanish(A)
    theirs.say("are you there?")
    network.run()
    assert theirs.closed == ours.heard == []
    assert theirs.end.in_flight == 100


def test_a_host_that_is_back_resets_what_it_does_not_know() -> None:
    network = Network()
    ours, theirs = network.connect()
    network.fabric.vanish(A)
    theirs.say("are you there?")
    network.run()
    network.boot(A)
    network.run()
    assert ours.heard == []
    assert [reason for _, reason in theirs.closed] == ["reset: nobody there"]


def test_a_host_that_has_vanished_is_given_up_after_a_silence() -> None:
    network = Network(silence_s=30)
    _, theirs = network.connect()
    network.fabric.vanish(A)
    network.run()
    assert theirs.closed == [(about(31.0), "silent for 30 s")]


def test_a_heartbeat_comes_when_the_limits_say() -> None:
    network = Network(silence_s=30, limits=Limits(heartbeat_s=12))
    _, theirs = network.connect()
    network.fabric.vanish(A)
    network.boot(A)
    network.run()
    assert theirs.closed == [(about(13.0), "reset: nobody there")]


def test_a_dial_is_as_patient_as_the_limits_say() -> None:
    network = Network(limits=Limits(dial_patience_s=17))
    network.boot(B)
    network.fabric.vanish(B)
    network.dial(A, B)
    network.run()
    assert network.answers == [(about(17.0), None, "timed out")]


def test_a_heartbeat_finds_out_that_a_host_has_restarted() -> None:
    network = Network(silence_s=30)
    _, theirs = network.connect()
    network.fabric.vanish(A)
    network.run(6.0)
    network.boot(A)
    network.run()
    ((at_s, reason),) = theirs.closed
    assert at_s < 10
    assert reason == "reset: nobody there"


def test_while_all_is_well_nothing_is_looked_after() -> None:
    network = Network(silence_s=30)
    network.connect()
    network.run(20.0)
    assert network.loop.next_at() == math.inf


# ---- datagrams ----


def test_a_broadcast_reaches_all_who_hear_and_the_sender() -> None:
    network = Network()
    network.boot(A, B, C)
    network.fabric.broadcast(B, b"here I am")
    network.run()
    assert sorted(to for _, source, to, _ in network.datagrams if source == B) == [A, B, C]


def test_a_datagram_for_nobody_is_gone() -> None:
    network = Network()
    network.fabric.datagram(A, B, b"hello?")
    network.run()
    assert network.kinds() == ["SENT", "DROPPED"]


# ---- what happens twice ----


def talk(seed: int) -> str:
    network = Network(Conditions(loss=0.2, duplicate=0.2, reorder=0.2), seed=seed)
    network.boot(A, B, C)
    ours, theirs = network.connect()
    ours.say(*range(100))
    theirs.say(*range(100))
    network.fabric.broadcast(C, b"here I am")
    network.run()
    return network.trace.hexdigest()


def test_the_same_seed_gives_the_same_deliveries() -> None:
    assert talk(1) == talk(1)
    assert talk(1) != talk(2)
