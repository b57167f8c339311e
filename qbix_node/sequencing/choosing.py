"""Bring the signatures of owners together that choose a branch of their forked stream
(spec/sequencing.md 6).

What this node's people chose is signed once, and kept for ever: a second choice would close the
stream. Nothing here signs by itself.
"""

from collections.abc import Callable
from functools import partial

from qbix_node import machines as m
from qbix_node.errors import Malformed
from qbix_node.sequencing import messages as q
from qbix_node.sequencing.desk import Desk
from qbix_node.sequencing.proposals import exactly_enough
from qbix_node.sequencing.records import put_choice
from qbix_node.streams.messages import SignedResolve
from qbix_node.streams.resolution import Resolution
from qbix_node.wire.references import StreamId

CHOICES_MAX = 256  # of others, in all streams

Choices = dict[StreamId, dict[int, q.Choice]]  # by owner


class Chooser:
    """`kept`: what the store holds."""

    def __init__(self, desk: Desk, kept: Choices) -> None:
        self._desk = desk
        self.choices = kept

    def start(self) -> None:
        """Enough may have been there before the last stop."""
        for stream in list(self.choices):
            self._complete(stream)

    def choose(self, wish: q.Choose) -> None:
        """By the people of this node, who may do so once."""
        desk, choice = self._desk, wish.choice
        owners = choice.resolution.fork.genesis.owners
        mine = owners.index(desk.me)
        if mine is None or choice.owner != mine:
            desk.emit(q.Failed(wish.request, "this node is no owner of that stream"))
        elif (before := self.choices.get(choice.stream, {}).get(mine)) and before != choice:
            desk.emit(q.Failed(wish.request, "this node has chosen already"))
        else:
            self._keep(choice, None, then=lambda: desk.emit(q.Done(wish.request)))

    def greet(self, peer: m.PeerId) -> None:
        """An owner that has come hears what is known of the others, and of itself."""
        for stream, chosen in self.choices.items():
            if self._is_open(stream):
                for choice in chosen.values():
                    self._send(choice, [peer])

    def hear(self, peer: m.PeerId, said: q.Choice) -> None:
        desk, stream = self._desk, said.stream
        genesis = said.resolution.fork.genesis
        if genesis.stream != stream or not desk.replicates(stream) or not self._is_open(stream):
            return
        if genesis.owners.index(peer) is None or said.owner in self.choices.get(stream, {}):
            return
        if said.owner >= len(genesis.owners.weights):
            desk.disbelieve(peer, "it names an owner that does not exist")
            return
        try:
            checks = said.checks()
        except Malformed as error:
            desk.disbelieve(peer, str(error))
            return
        if desk.peers[peer].may_cost(len(checks), desk.now):
            desk.verify(checks, partial(self._checked, peer, said))

    def _is_open(self, stream: StreamId) -> bool:
        return not self._desk.has_resolution(stream)

    def _checked(self, peer: m.PeerId, said: q.Choice, oks: tuple[bool, ...]) -> None:
        if not all(oks):
            self._desk.disbelieve(peer, "a signature in a choice does not match")
        elif said.owner not in self.choices.get(said.stream, {}) and self._has_room(said):
            self._keep(said, peer, then=lambda: None)

    def _has_room(self, said: q.Choice) -> bool:
        """What this node has signed itself, and forgotten, has room in any case."""
        mine = said.resolution.fork.genesis.owners.index(self._desk.me)
        kept = [len(each) for stream, each in self.choices.items() if self._is_open(stream)]
        return said.owner == mine or sum(kept) < CHOICES_MAX

    def _keep(self, choice: q.Choice, source: m.PeerId | None, *, then: Callable[[], None]) -> None:
        """SPEC sequencing 6: durable before anybody hears of it."""
        self.choices.setdefault(choice.stream, {})[choice.owner] = choice
        told = partial(self._kept, choice, source, then)
        self._desk.persist(put_choice(choice), then=told, marked=source is None)

    def _kept(self, choice: q.Choice, source: m.PeerId | None, then: Callable[[], None]) -> None:
        then()
        self._desk.emit(q.OwnerChose(choice.stream, choice.owner))
        self._send(choice, [peer for peer in self._desk.peers if peer != source])
        self._complete(choice.stream)

    def _send(self, choice: q.Choice, peers: list[m.PeerId]) -> None:
        owners = choice.resolution.fork.genesis.owners
        for peer in peers:
            if owners.index(peer) is not None:
                self._desk.send(peer, choice)

    def _complete(self, stream: StreamId) -> None:
        """Whether there is a branch for which enough owners have signed."""
        if not self._is_open(stream):
            return
        chosen = self.choices[stream]
        for choice in chosen.values():
            body = choice.resolution.signed.resolve
            same = {
                owner: each.signature
                for owner, each in chosen.items()
                if each.resolution.signed.resolve == body
            }
            deciding = exactly_enough(choice.resolution.fork.genesis.owners, same)
            if deciding is not None:
                signed = SignedResolve(body, tuple([(each, same[each]) for each in deciding]))
                self._desk.emit(q.Resolved(Resolution(signed, choice.resolution.fork)))
                return
