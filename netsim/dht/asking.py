"""What the nodes of a run are asked: when, whom and for what."""

from netsim.dht.faces import Face
from netsim.dht.judging import JOINED_S, Judge, Question
from netsim.dht.net import Net
from qbix_node.dht import requests as r
from qbix_node.dht.ids import NodeId


class Asking:
    def __init__(self, net: Net, judge: Judge) -> None:
        self._net, self._judge = net, judge
        self._draws = net.world.chance.draws("dht/asking")

    def plan(self) -> None:
        """Every moment is drawn now; who is asked, of those that are there then."""
        net, draws = self._net, self._draws
        staying = [each for each in net.faces if each.honest and each.stays]
        last = net.plan.asked_s[0]
        for publisher in draws.sample(staying, net.plan.publishers):
            for when in sorted((draws.between(0, last / 10), draws.between(last / 10, last))):
                net.world.loop.at(when, self._publish, publisher)
        for _ in range(net.plan.lookups):
            net.world.loop.at(draws.between(*net.plan.asked_s), self._look_up)
        for _ in range(net.plan.gets):
            net.world.loop.at(draws.between(*net.plan.asked_s), self._get)

    def _publish(self, publisher: Face) -> None:
        content = self._net.published.publish(publisher.number, self._net.now)
        self._want(publisher, r.Publish(content))

    def _look_up(self) -> None:
        asker, draws, known = self._asker(), self._draws, self._net.known_targets
        attacked = bool(known) and draws.chance(self._net.plan.attacked)
        target = draws.pick(known) if attacked else NodeId(draws.randbytes(32))
        question = Question(asker.number, self._net.now, target, attacked)
        self._want(asker, r.Find(self._judge.ask(question), target))

    def _get(self) -> None:
        asker, publisher = self._asker(), self._draws.pick(self._net.published.publishers)
        key = self._net.published.key_of(publisher)
        question = Question(asker.number, self._net.now, key, publisher=publisher)
        self._want(asker, r.Get(self._judge.ask(question), key))

    def _asker(self) -> Face:
        """One that has joined."""
        there = [each for each in self._net.there() if each.since + JOINED_S <= self._net.now]
        return self._draws.pick(there)

    def _want(self, face: Face, request: object) -> None:
        self._net.members[face.number].want(request)
