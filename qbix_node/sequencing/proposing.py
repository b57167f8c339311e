"""The sequencer's part, then: propose a run, and bring the signatures together
(spec/sequencing.md 3).
"""

from collections.abc import Callable
from functools import partial

from qbix_node import machines as m
from qbix_node.sequencing import messages as q
from qbix_node.sequencing.desk import NO_LOG, Desk
from qbix_node.sequencing.gathering import OTHER_LOG, Gatherer
from qbix_node.sequencing.proposals import Proposal
from qbix_node.sequencing.recalling import Recaller
from qbix_node.sequencing.records import Run, Signed, delete_run, put_run, put_signed
from qbix_node.streams.genesis import Genesis, read_genesis
from qbix_node.streams.growth import Facts, Needs
from qbix_node.streams.line import FactsOf
from qbix_node.streams.messages import Head
from qbix_node.streams.tree import leaf_hash
from qbix_node.wire.references import StreamId


class Proposer:
    """`runs`: what the store holds. `tell_here`: what became of an entry of this node."""

    def __init__(
        self,
        desk: Desk,
        runs: dict[StreamId, Run],
        recaller: Recaller,
        tell_here: Callable[[q.Placed | q.Declined], None],
    ) -> None:
        self.proposals: dict[StreamId, Proposal] = {}
        self._desk = desk
        self._runs = runs
        self._recaller = recaller
        self.gatherer = Gatherer(
            desk,
            self.proposals,
            knows=recaller.knows,
            propose=self._propose,
            tell_here=tell_here,
        )
        self._comparing: set[StreamId] = set()

    def start(self) -> None:
        """Go on with what was proposed before the last stop."""
        runs, self._runs = self._runs, {}
        for stream, run in runs.items():
            genesis = self._desk.geneses.get(stream) or read_genesis(run.leaves[0])
            proposal = self.proposals[stream] = Proposal(run, genesis, durable=True)
            self._sign(proposal)
            self.grew(stream)
            self._complete(proposal)

    def begin(self, wish: q.Begin) -> None:
        desk, genesis = self._desk, wish.genesis
        stream = genesis.stream
        if genesis.sequencer != desk.author:
            desk.emit(q.Failed(wish.request, "this node is not the sequencer of that stream"))
        elif stream in desk.geneses or stream in self.proposals or stream in desk.signed:
            desk.emit(q.Failed(wish.request, "that stream is here already"))
        elif reason := desk.why_not(stream, genesis):
            desk.emit(q.Failed(wish.request, reason))
        else:
            head = Head(stream, 1, leaf_hash(genesis.encoded), desk.wall_ms)
            run = Run(0, (genesis.encoded,), (None,), head)
            self._propose(Proposal(run, genesis, begun=wish.request))

    def adopt(self, said: q.Propose, genesis: Genesis, writes: list[m.Write]) -> None:
        """What this node has proposed, which an owner signed, and has forgotten since. Contents
        did not travel with it. `writes`: durable together with that.
        """
        run = Run(said.first, said.leaves, (None,) * len(said.leaves), said.head)
        if genesis.stream not in self.proposals:
            self._propose(Proposal(run, genesis), *writes)

    # ---- and signed by enough of its owners ----

    def _propose(self, proposal: Proposal, *more: m.Write) -> None:
        """SPEC sequencing 3: it is durable, word for word, before anybody hears of it."""
        desk, run = self._desk, proposal.run
        stream = run.head.stream
        self.proposals[stream] = proposal
        signed = desk.signed[stream] = Signed(run.head.length, run.head.root)
        writes = put_run(run), put_signed(stream, signed), *more
        desk.persist(*writes, then=partial(self._proposed, proposal), marked=True)

    def _proposed(self, proposal: Proposal) -> None:
        proposal.durable = True
        if proposal.begun is not None:
            self._desk.emit(q.Done(proposal.begun))
        self._sign(proposal)
        if not self._complete(proposal):
            self._send_to(proposal, list(self._desk.peers))

    def _sign(self, proposal: Proposal) -> None:
        owner = proposal.genesis.owners.index(self._desk.me)
        assert owner is not None  # the sequencer is one
        proposal.signatures[owner] = self._desk.keys.sign(proposal.run.head.body)

    def _complete(self, proposal: Proposal) -> bool:
        """Whether it needs no more signatures; told again and again until it is in the log."""
        whole = proposal.whole
        if whole is not None and self._goes_on(proposal):
            self._desk.emit(q.Completed(whole))
        return whole is not None

    def _goes_on(self, proposal: Proposal) -> bool:
        stream = proposal.run.head.stream
        if proposal.barred or self._desk.behind(stream) or not self._desk.replicates(stream):
            return False
        return self._desk.why_not(stream, proposal.genesis) is None

    def greet(self, peer: m.PeerId) -> None:
        """Who has come hears what is proposed."""
        for proposal in self.proposals.values():
            self._send_to(proposal, [peer])

    def round(self) -> None:
        for proposal in self.proposals.values():
            if proposal.durable and not self._complete(proposal):
                self._send_to(proposal, list(self._desk.peers))

    def _send_to(self, proposal: Proposal, peers: list[m.PeerId]) -> None:
        """Those of them that own the stream and have not signed."""
        run, desk = proposal.run, self._desk
        if not proposal.durable or proposal.whole is not None or not self._goes_on(proposal):
            return
        weights = proposal.genesis.owners.weights
        wanted = {m.PeerId(weights[index][0]) for index in proposal.unsigned}
        for peer in peers:
            if peer in wanted:
                desk.send(peer, q.Propose(run.first, run.leaves, run.head))

    def hear_signature(self, peer: m.PeerId, said: q.Signature) -> None:
        proposal = self._of(peer, said)
        if proposal is None or proposal.genesis.owners.index(peer) != said.owner:
            return  # what was asked before, or never
        if said.owner in proposal.signatures:
            return
        if self._desk.peers[peer].may_cost(1, self._desk.now):
            check = m.SignatureCheck(peer, proposal.run.head.body, said.signature)
            self._desk.verify((check,), partial(self._signature_checked, peer, said))

    def _signature_checked(self, peer: m.PeerId, said: q.Signature, oks: tuple[bool, ...]) -> None:
        proposal = self._of(peer, said)
        if not all(oks):
            self._desk.disbelieve(peer, "its signature under what was proposed does not match")
        elif proposal is not None and proposal.whole is None:
            proposal.signatures[said.owner] = said.signature
            proposal.refused.pop(said.owner, None)
            self._complete(proposal)

    def hear_refused(self, peer: m.PeerId, said: q.Refused) -> None:
        proposal = self._of(peer, said)
        owner = proposal.genesis.owners.index(peer) if proposal else None
        if proposal is not None and owner is not None and owner not in proposal.signatures:
            proposal.refused[owner] = said.reason

    def _of(self, peer: m.PeerId, said: q.Signature | q.Refused) -> Proposal | None:
        """What a peer's answer is about."""
        proposal = self.proposals.get(said.stream)
        if proposal is None or not proposal.durable or not proposal.ends_with(said):
            return None
        return proposal

    # ---- and in the log ----

    def grew(self, stream: StreamId) -> None:
        proposal, state = self.proposals.get(stream), self._desk.logs.get(stream)
        if proposal is None or state is None or stream in self._comparing:
            return
        length = proposal.run.head.length
        if length <= state.length:
            self._comparing.add(stream)
            question = FactsOf(stream, Needs((), (length,)), state.length)
            self._desk.learn(question, partial(self._compared, proposal))

    def _compared(self, proposal: Proposal, facts: Facts) -> None:
        head = proposal.run.head
        self._comparing.discard(head.stream)
        if facts.roots[head.length] != head.root:
            proposal.barred = True  # for ever: what comes next would not continue it
            for asker in proposal.askers.values():
                self.gatherer.tell(asker, q.Declined(asker.number, OTHER_LOG))
            proposal.askers.clear()
            return
        if proposal.whole is not None:
            self._recaller.trust(head.stream)  # enough owners have just signed it
        self._desk.persist(delete_run(head.stream), then=partial(self.gatherer.draw, head.stream))
        del self.proposals[head.stream]
        for place, asker in proposal.askers.items():
            self.gatherer.tell(asker, q.Placed(asker.number, place))

    def forget(self, stream: StreamId, proposed: Signed) -> None:
        """It was of the branch that the owners gave up, and is not in the store any more."""
        if (proposal := self.proposals.get(stream)) and proposal.ends_with(proposed):
            del self.proposals[stream]
            for asker in proposal.askers.values():
                self.gatherer.tell(asker, q.Declined(asker.number, NO_LOG, later=True))
            self.gatherer.draw(stream)
