"""What the hash table promises, whatever others do (spec/dht.md)."""

from typing import ClassVar

from netsim import facts
from netsim.checks.check import Check, Facts
from netsim.checks.links import NoFailure
from qbix_node.dht.table import PER_SUBNET_AND_BUCKET_MAX, PER_SUBNET_MAX


class OnlyWhoAnsweredIsFound(Check):
    name = "who is found was there"
    guards = "spec/dht.md 7: only nodes that answered are found"
    watches: ClassVar[Facts] = (facts.DhtFound,)

    def handle(self, node: int, fact: object) -> None:
        assert isinstance(fact, facts.DhtFound)
        if fact.strays:
            self.violated(node, f"{fact.strays} of {fact.nodes} nodes that it found were not there")


class RecordsCount(Check):
    name = "records that come out count"
    guards = "spec/dht.md 8: a record counts until then, by the local clock"
    watches: ClassVar[Facts] = (facts.DhtGot,)

    def handle(self, node: int, fact: object) -> None:
        assert isinstance(fact, facts.DhtGot)
        for why in fact.false:
            self.violated(node, f"it was given a record, but {why}")


class NothingForTheUnproven(Check):
    name = "nothing for who proved no address"
    guards = "spec/dht.md 4: nothing longer than the request is sent"
    watches: ClassVar[Facts] = (facts.DhtUnproven,)

    def handle(self, node: int, fact: object) -> None:
        assert isinstance(fact, facts.DhtUnproven)
        if fact.agreements or fact.said_bytes > fact.asked_bytes:
            self.violated(
                node,
                f"a request of {fact.asked_bytes} bytes without a cookie got {fact.said_bytes}, "
                f"and {fact.agreements} agreements",
            )


class FewOfANetwork(Check):
    name = "few contacts of a network"
    guards = "spec/dht.md 6: at most 2 nodes are in a bucket"
    watches: ClassVar[Facts] = (facts.DhtTable,)

    def handle(self, node: int, fact: object) -> None:
        assert isinstance(fact, facts.DhtTable)
        crowded = fact.of_network_in_bucket > PER_SUBNET_AND_BUCKET_MAX
        if crowded or fact.of_network > PER_SUBNET_MAX:
            self.violated(
                node,
                f"of one network {fact.of_network_in_bucket} contacts are in a bucket, "
                f"{fact.of_network} in all",
            )


class NearestAreTold(Check):
    name = "the nearest are told"
    guards = "spec/dht.md 5: the nearest that the sender knows"
    watches: ClassVar[Facts] = (facts.DhtTable,)

    def handle(self, node: int, fact: object) -> None:
        assert isinstance(fact, facts.DhtTable)
        if fact.passed_over:
            self.violated(
                node, f"its search passed over {fact.passed_over} of the nearest contacts"
            )


class LongKnownStay(Check):
    name = "who is known longest stays"
    guards = "spec/dht.md 6: Who is known longest stays"
    watches: ClassVar[Facts] = (facts.DhtTable,)

    def handle(self, node: int, fact: object) -> None:
        assert isinstance(fact, facts.DhtTable)
        if fact.dropped:
            who = self.view.name(fact.dropped[0])
            self.violated(node, f"it forgot {who}, which was there all the time")


class ShelvesBounded(Check):
    name = "shelves are bounded"
    guards = "spec/dht.md 9: 32 of a key and 8192 in all are kept"
    watches: ClassVar[Facts] = (facts.DhtShelf,)

    def handle(self, node: int, fact: object) -> None:
        assert isinstance(fact, facts.DhtShelf)
        plan = self.view.world.plan.dht
        assert plan is not None
        if fact.of_key > plan.records_per_key_max or fact.records > plan.records_max:
            self.violated(node, f"it keeps {fact.records} records, {fact.of_key} of one key")


DHT_CHECKS: tuple[type[Check], ...] = (
    NoFailure,
    OnlyWhoAnsweredIsFound,
    RecordsCount,
    NothingForTheUnproven,
    FewOfANetwork,
    NearestAreTold,
    LongKnownStay,
    ShelvesBounded,
)
