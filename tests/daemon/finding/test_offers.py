"""What a node keeps published."""

from qbix_node.crypto.keys import KeyPair
from qbix_node.daemon.finding.offers import NEW_MAX, OFFERS_MAX, Held, Offers
from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.ids import node_id
from qbix_node.dht.records import NodeContent, ProviderContent, provider_key
from qbix_node.machines import PeerId

OWN = PeerId(KeyPair.from_seed(b"o" * 32).public)
HERE = (Endpoint(bytes([192, 0, 2, 1]), 8008),)
THERE = (Endpoint(bytes([192, 0, 2, 2]), 8008),)
STREAM = Held("stream", b"s" * 32)


def test_the_node_and_what_it_holds_are_published_once() -> None:
    offers = Offers(OWN)
    new, gone = offers.change([STREAM], HERE)
    assert [type(each) for each in new] == [NodeContent, ProviderContent]
    assert new[1] == ProviderContent("stream", b"s" * 32, HERE)
    assert (gone, offers.logs) == ([], 1)
    assert offers.change([STREAM], HERE) == ([], [])


def test_what_is_held_no_longer_is_withdrawn() -> None:
    offers = Offers(OWN)
    offers.change([STREAM], HERE)
    assert offers.change([], HERE) == ([], [(provider_key("stream", b"s" * 32), "provider")])
    assert offers.logs == 0


def test_a_new_address_is_published_everywhere() -> None:
    offers = Offers(OWN)
    offers.change([STREAM], HERE)
    new, gone = offers.change([STREAM], THERE)
    assert [getattr(each, "addresses", None) for each in new] == [THERE, THERE]
    assert gone == []


def test_a_node_without_an_address_offers_nothing() -> None:
    offers = Offers(OWN)
    assert offers.change([STREAM], ()) == ([], [])
    offers.change([STREAM], HERE)
    _, gone = offers.change([STREAM], ())
    assert (node_id(OWN), "node") in gone


def test_many_are_published_a_few_at_a_time_and_never_more_than_the_limit() -> None:
    offers = Offers(OWN)
    held = [Held("feed", number.to_bytes(32)) for number in range(OFFERS_MAX + 10)]
    published = 0
    while new := offers.change(held, HERE)[0]:
        assert len(new) <= NEW_MAX
        published += len(new)
    assert published == OFFERS_MAX + 1
    assert offers.logs == OFFERS_MAX
