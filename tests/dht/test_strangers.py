"""What strangers and those who forge addresses can do to one node (spec/dht.md 4, 10)."""

import pytest

from qbix_node.dht import messages as d
from qbix_node.dht.cookies import LIFETIME_S
from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.limits import Limits
from qbix_node.dht.wire import HEADER_BYTES
from tests.dht.victim import Stranger, Victim, public

HONEST, ATTACKER = 2, 3


def test_forged_datagrams_use_up_nothing_of_an_honest_sender() -> None:
    victim = Victim()
    honest = Stranger(victim, HONEST)
    honest.greet()
    forger = Stranger(victim, ATTACKER, honest.endpoint)
    for number in range(2000):
        victim.hear(forger.request(d.Ping()), honest.endpoint)
        seen = bytearray(honest.request(d.Ping(), 10**6 + number))  # with the cookie that was seen
        seen[-1] ^= 1
        victim.hear(bytes(seen), honest.endpoint)
    assert isinstance(honest.ask(d.Ping()), d.Pong)
    assert Stranger(victim, 4, honest.endpoint).ask(d.Ping()) is None
    assert victim.said, "others of this host get cookies as before"


def test_replays_use_up_nothing_of_an_honest_sender() -> None:
    victim = Victim()
    honest = Stranger(victim, HONEST)
    honest.greet()
    seen = honest.request(d.Ping())
    for _ in range(2000):
        victim.hear(seen, honest.endpoint)
    assert victim.count("ignored: replayed") == 1999
    assert isinstance(honest.ask(d.Ping()), d.Pong)


def test_a_sender_has_an_allowance_that_refills() -> None:
    victim = Victim()
    sender = Stranger(victim, HONEST)
    sender.greet()
    served = sum(sender.ask(d.Ping()) is not None for _ in range(1000))
    assert served == victim.limits.requests_burst - 1
    victim.now += 1
    assert isinstance(sender.ask(d.Ping()), d.Pong)


def test_forged_sources_are_not_remembered() -> None:
    victim = Victim()
    forger = Stranger(victim, ATTACKER)
    for number in range(5000):
        victim.hear(forger.request(d.Ping()), public(number))
    figures = victim.dht.figures()
    assert figures["cookies given"] == 5000
    assert (figures["peers"], figures["senders"], figures["calls"]) == (0, 0, 0)


def test_a_key_that_is_only_claimed_takes_no_place() -> None:
    victim = Victim(Limits(peers_max=4))
    honest = [Stranger(victim, number) for number in range(10, 14)]
    for each in honest:
        each.greet()
    liar = Stranger(victim, ATTACKER)
    for number in range(20, 40):
        liar.key = Stranger(victim, number).key
        liar.ask(d.Ping())
        assert liar.ask(d.Ping()) is None
    assert victim.count("ignored: not sealed") == 20
    agreed = victim.count("agreements")
    for each in honest:
        assert isinstance(each.ask(d.Ping()), d.Pong)
    assert victim.count("agreements") == agreed, "they are still known"


def test_one_network_does_not_use_up_what_there_is_for_strangers() -> None:
    victim = Victim()
    for number in range(300):
        stranger = Stranger(victim, 100 + number, Endpoint(bytes((8, 8, 8, 1 + number % 250)), 99))
        stranger.ask(d.Ping())
        stranger.ask(d.Ping())
    agreed = victim.count("agreements")
    assert agreed == victim.limits.strangers_burst
    Stranger(victim, HONEST).greet()


# ---- replays ----


def test_what_was_served_is_not_served_again_when_its_sender_was_forgotten() -> None:
    victim = Victim(Limits(peers_max=8))
    sender = Stranger(victim, HONEST)
    sender.greet()
    seen = sender.request(d.Ping())
    assert victim.hear(seen, sender.endpoint)
    for number in range(100, 120):
        victim.now += 0.01
        Stranger(victim, number).greet()
    (said, *_) = victim.hear(seen, sender.endpoint)
    assert len(said.data) == HEADER_BYTES, "only a new cookie"
    assert sender.ask(d.Ping()) is None
    assert isinstance(sender.ask(d.Ping()), d.Pong), "the sender itself is served again"


def test_a_sender_whose_numbers_begin_anew_is_served() -> None:
    victim = Victim()
    before = Stranger(victim, HONEST)
    before.number = 10**9
    before.greet()
    seen = before.request(d.Ping())
    victim.hear(seen, before.endpoint)
    victim.now += 1
    after = Stranger(victim, HONEST)  # its clock, too, may have gone back
    after.greet()
    assert after.number < 10
    served = victim.count("requests served")
    victim.hear(seen, before.endpoint)
    assert victim.count("requests served") == served, "what it sent before is over"


# ---- cookies ----


def test_a_cookie_counts_for_one_address_port_and_key() -> None:
    victim = Victim()
    one = Stranger(victim, HONEST)
    one.greet()
    for other in (
        Stranger(victim, HONEST, public(77)),
        Stranger(victim, HONEST, Endpoint(one.endpoint.ip, 4001)),
        Stranger(victim, ATTACKER, one.endpoint),
    ):
        other.cookie = one.cookie
        assert other.ask(d.Ping()) is None
        assert other.cookie != one.cookie


@pytest.mark.parametrize(("age_s", "counts"), [(LIFETIME_S, True), (2 * LIFETIME_S, False)])
def test_a_cookie_is_over_after_a_while(age_s: float, counts: bool) -> None:
    victim = Victim()
    sender = Stranger(victim, HONEST)
    sender.greet()
    victim.now += age_s
    assert (sender.ask(d.Ping()) is not None) is counts


@pytest.mark.parametrize("place", [0, 7, 8, 15])
def test_no_byte_of_a_cookie_can_be_another(place: int) -> None:
    victim = Victim()
    sender = Stranger(victim, HONEST)
    sender.greet()
    changed = bytearray(sender.cookie)
    changed[place] ^= 1
    sender.cookie = bytes(changed)
    assert sender.ask(d.Ping()) is None


def test_a_node_that_starts_again_takes_no_cookie_of_before() -> None:
    sender = Stranger(Victim(), HONEST)
    sender.greet()
    sender.victim = Victim(seed=2)
    assert sender.ask(d.Ping()) is None
    assert isinstance(sender.ask(d.Ping()), d.Pong)
