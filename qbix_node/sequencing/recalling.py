"""What owners tell each other of what they have signed, so that nobody forgets it with an older
copy of a home (spec/sequencing.md 5).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from qbix_node import machines as m
from qbix_node.ports import Write
from qbix_node.sequencing import messages as q
from qbix_node.sequencing.desk import Desk
from qbix_node.sequencing.judging import Verdict, judge, roots
from qbix_node.sequencing.records import Signed, delete_vote, put_signed, put_vote
from qbix_node.streams.genesis import Genesis
from qbix_node.wire.references import StreamId

VOTES_MAX = 1024  # of others that are kept
PATIENCE_S = 4.0  # for which who doesn't propose waits for other owners that are connected

Votes = dict[tuple[StreamId, int], q.Vote]  # by owner


@dataclass(slots=True)
class _Asking:
    """`told`: owners that have said what they signed; `offered`: what of that is not in the log."""

    since: float
    asked: set[m.PeerId] = field(default_factory=set)  # never gone through
    told: set[int] = field(default_factory=set)
    offered: dict[int, q.Vote] = field(default_factory=dict)
    judging: bool = False


class Recaller:
    """`votes`: what the store holds. `adopt`: what was proposed before and is forgotten here;
    `go_on`: it is known what was signed.
    """

    def __init__(
        self,
        desk: Desk,
        votes: Votes,
        *,
        adopt: Callable[[q.Propose, Genesis], None],
        go_on: Callable[[StreamId], None],
    ) -> None:
        self._desk = desk
        self._votes = votes
        self._adopt = adopt
        self._go_on = go_on
        self._sure: set[StreamId] = set()  # never gone through
        self._asking: dict[StreamId, _Asking] = {}

    # ---- before something is signed ----

    def knows(self, stream: StreamId) -> bool:
        """Whether this node may sign what is new; else it has asked, and will go on."""
        desk, genesis = self._desk, self._desk.geneses[stream]
        if stream in self._sure or genesis.owners.only is not None:
            return True
        asking = self._asking.get(stream)
        if asking is None:
            asking = self._asking[stream] = _Asking(desk.now)
        self._ask(stream, asking)
        if genesis.sequencer == desk.author:
            known = not asking.told and self._enough(genesis, asking)  # it needs nobody else
        else:
            known = self._waited(stream, asking)
        if known:
            self.trust(stream)
        return known

    def trust(self, stream: StreamId) -> None:
        """All is known of it; from now on nothing is forgotten."""
        self._sure.add(stream)
        self._asking.pop(stream, None)

    @property
    def asks(self) -> bool:
        return bool(self._asking)

    def unheard(self, stream: StreamId) -> list[int]:
        """Owners that have not said yet what they signed, where that is waited for."""
        asking, owners = self._asking.get(stream), self._desk.geneses.get(stream)
        if asking is None or owners is None:
            return []
        every, mine = range(len(owners.owners.weights)), owners.owners.index(self._desk.me)
        return [owner for owner in every if owner != mine and owner not in asking.told]

    def _waited(self, stream: StreamId, asking: _Asking) -> bool:
        """Who doesn't propose waits for those that are there; they may never all be."""
        others = self._others(self._desk.geneses[stream])
        silent = [owner for _, owner in others if owner not in asking.told]
        return not silent or self._desk.now - asking.since >= PATIENCE_S

    def _others(self, genesis: Genesis) -> list[tuple[m.PeerId, int]]:
        """Owners that are connected, with their indices. The sequencer is not among them: what it
        knows it proposes again.
        """
        sequencer = m.PeerId(genesis.sequencer or b"")
        found = [(p, genesis.owners.index(p)) for p in self._desk.peers if p != sequencer]
        return [(peer, owner) for peer, owner in found if owner is not None]

    def _ask(self, stream: StreamId, asking: _Asking) -> None:
        for peer, owner in self._others(self._desk.geneses[stream]):
            if owner not in asking.told and peer not in asking.asked:
                asking.asked.add(peer)
                self._desk.send(peer, q.Recall(stream))

    def greet(self, peer: m.PeerId) -> None:
        for stream, asking in self._asking.items():
            asking.asked.discard(peer)
            self._ask(stream, asking)

    def round(self) -> None:
        desk = self._desk
        for stream, asking in list(self._asking.items()):
            genesis = desk.geneses[stream]
            if not desk.replicates(stream) or desk.why_not(stream, genesis) is not None:
                del self._asking[stream]  # it is asked anew, should it go on
                continue
            asking.asked.clear()
            self._ask(stream, asking)
            if genesis.sequencer != desk.author:
                self._go_on(stream)

    # ---- asked by others ----

    def hear_recall(self, peer: m.PeerId, said: q.Recall) -> None:
        """SPEC sequencing 5: who may have forgotten itself what it signed says nothing."""
        desk, stream = self._desk, said.stream
        genesis = desk.geneses.get(stream)
        theirs = genesis.owners.index(peer) if genesis else None
        mine = genesis.owners.index(desk.author) if genesis else None
        if theirs is None or mine is None or not desk.replicates(stream):
            return
        if desk.why_wait(stream) is None and desk.peers[peer].may_cost(1, desk.now):
            found = [self._votes.get((stream, owner)) for owner in (mine, theirs)]
            beyond = [vote for vote in found if vote and self._is_beyond(vote)]
            desk.send(peer, q.Votes(stream, tuple(beyond)), after=desk.signing_of(stream))

    def _is_beyond(self, vote: q.Vote) -> bool:
        return vote.head.length > self._desk.length(vote.head.stream)

    # ---- kept and told ----

    def keep_own(self, said: q.Propose, signature: q.Signature) -> Write:
        """What this node signs; to be durable together with that."""
        vote = q.Vote(said.first, said.leaves, said.head, signature.owner, signature.signature)
        self._votes[said.head.stream, signature.owner] = vote
        return put_vote(vote)

    def tell_others(
        self, genesis: Genesis, signature: q.Signature, said: q.Propose, *, after: m.Token
    ) -> None:
        """All owners but the sequencer, who has it from the signature itself."""
        bare = q.Vote(said.head.length, (), said.head, signature.owner, signature.signature)
        for peer, _ in self._others(genesis):
            self._desk.send(peer, q.Votes(genesis.stream, (bare,)), after=after)

    def grew(self, stream: StreamId) -> None:
        """What stands in the log tells itself who signed it."""
        owners = self._desk.geneses[stream].owners if stream in self._desk.geneses else None
        every = range(len(owners.weights)) if owners else ()
        old = [
            each
            for each in every
            if (vote := self._votes.get((stream, each))) and not self._is_beyond(vote)
        ]
        for owner in old:
            del self._votes[stream, owner]
        if old:
            deletes = [delete_vote(stream, owner) for owner in old]
            self._desk.persist(*deletes, then=lambda: None)

    # ---- heard ----

    def hear_votes(self, peer: m.PeerId, said: q.Votes) -> None:
        desk, stream = self._desk, said.stream
        genesis = desk.geneses.get(stream)
        theirs = genesis.owners.index(peer) if genesis else None
        mine = genesis.owners.index(desk.author) if genesis else None
        if genesis is None or theirs is None or mine is None or not desk.replicates(stream):
            return
        if any(vote.owner not in (mine, theirs) for vote in said.votes):
            return  # nobody speaks for a third
        checks = tuple([vote.check(genesis.owners) for vote in said.votes])
        if not checks:
            self._told(stream, theirs, None)
        elif desk.peers[peer].may_cost(len(checks), desk.now):
            desk.verify(checks, partial(self._checked, peer, said, mine))

    def _checked(self, peer: m.PeerId, said: q.Votes, mine: int, oks: tuple[bool, ...]) -> None:
        if not all(oks):
            self._desk.disbelieve(peer, "a signature of an owner does not match")
            return
        theirs: q.Vote | None = None
        for vote in said.votes:
            if vote.owner == mine:
                self._remember(vote)
            else:
                theirs = vote
                self._keep(vote)
        owner = self._desk.geneses[said.stream].owners.index(peer)
        if owner is not None and (theirs is None or theirs.leaves):
            self._told(said.stream, owner, theirs)

    def _remember(self, vote: q.Vote) -> None:
        """This node's key has signed it, and this node may have forgotten that."""
        desk, head = self._desk, vote.head
        signed = desk.must_continue(head.stream)
        if not self._is_beyond(vote) or (signed and signed.length >= head.length):
            return
        if desk.has_resolution(head.stream) and not self._leads_on(vote):
            return  # SPEC streams 10: it may be of the branch that was not chosen
        found = desk.signed[head.stream] = Signed(head.length, head.root)
        desk.persist(put_signed(head.stream, found), then=lambda: None, marked=True)
        desk.emit(q.Recalled(head.stream, head.length))

    def _leads_on(self, vote: q.Vote) -> bool:
        """Whether its leaves continue the log that is here."""
        state = self._desk.logs.get(vote.head.stream)
        if state is None or vote.first != state.length:
            return False
        return roots(state, vote.first, vote.leaves).get(vote.head.length) == vote.head.root

    def _keep(self, vote: q.Vote) -> None:
        """For its owner, who may forget it."""
        stream, owner = vote.head.stream, vote.owner
        kept = self._votes.get((stream, owner))
        longer = kept is None or kept.head.length < vote.head.length
        full = kept is None and len(self._votes) >= VOTES_MAX
        if full or not (longer and self._is_beyond(vote)) or self._desk.has_resolution(stream):
            return
        bare = self._votes[stream, owner] = vote.bare
        self._desk.persist(put_vote(bare), then=lambda: None)

    # ---- the sequencer's own past ----

    def _told(self, stream: StreamId, owner: int, vote: q.Vote | None) -> None:
        asking, desk = self._asking.get(stream), self._desk
        if asking is None or asking.judging:
            return
        if vote is not None and vote.first > desk.length(stream):
            return  # what is before it is missing here: it is asked again
        asking.told.add(owner)
        if vote is not None and vote.first == desk.length(stream):
            asking.offered[owner] = vote
        genesis = desk.geneses[stream]
        if genesis.sequencer != desk.author:
            self._go_on(stream)
        elif self._enough(genesis, asking):
            asking.judging = True
            self._judge_next(stream, genesis, asking)

    def _enough(self, genesis: Genesis, asking: _Asking) -> bool:
        """SPEC sequencing 5: those without whom nothing can be signed anyway."""
        mine = genesis.owners.index(self._desk.author)
        heard = {*asking.told, mine}
        weights = [weight for at, (_, weight) in enumerate(genesis.owners.weights) if at in heard]
        return sum(weights) >= genesis.owners.threshold

    def _judge_next(self, stream: StreamId, genesis: Genesis, asking: _Asking) -> None:
        """Of what they have signed, that of the most weight."""
        weights: dict[q.Propose, int] = {}
        for owner, vote in sorted(asking.offered.items()):
            said = q.Propose(vote.first, vote.leaves, vote.head)
            weights[said] = weights.get(said, 0) + genesis.owners.weights[owner][1]
        if not weights:
            self.trust(stream)
            self._go_on(stream)
            return
        said = max(weights, key=lambda each: weights[each])
        judge(self._desk, said, genesis, partial(self._judged, genesis, asking, said))

    def _judged(self, genesis: Genesis, asking: _Asking, said: q.Propose, verdict: Verdict) -> None:
        stream = genesis.stream
        if self._asking.get(stream) is not asking:
            return  # it was given up meanwhile
        if verdict.moved:
            del self._asking[stream]
            self._go_on(stream)
        elif verdict.reason is not None:
            offered = asking.offered.items()
            asking.offered = {at: vote for at, vote in offered if vote.head != said.head}
            self._judge_next(stream, genesis, asking)
        else:
            self.trust(stream)
            self._adopt(said, genesis)
            self._go_on(stream)
