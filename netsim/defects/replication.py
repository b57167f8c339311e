"""Wrong decisions about who sends what to whom, and about whom one has to do with at all."""

from collections.abc import Mapping

from netsim.checks.feeds import HonestAuthors
from netsim.checks.links import NoFailure, OneLink
from netsim.checks.promises import (
    BlockedPeersAreCutOff,
    BlockedPeersAreSentNothing,
    PromisesKept,
    UnfollowedFeedsRest,
)
from netsim.checks.speech import OnlyWhatIsReplicated, SentAgainSeldom
from netsim.defects import plans
from netsim.defects.planting import EVENTUALLY, Defect, planting
from netsim.faults import Faults
from netsim.plan import Operation
from qbix_node import machines as m
from qbix_node.feeds.line import Arrival, Line
from qbix_node.feeds.machine import FeedBook
from qbix_node.net.machine import ConnectionKeeper
from qbix_node.net.messages import LinkId
from qbix_node.replication.clocks import Clocks, unpack_clock
from qbix_node.replication.conversations import Conversations
from qbix_node.replication.following import Following
from qbix_node.replication.machine import Replicator
from qbix_node.replication.messages import REFUSED, Denied, Follow, PeerBlocked, Range
from qbix_node.replication.peers import Exchange
from qbix_node.replication.sources import Sources
from qbix_node.wire.references import FeedId

_connect = Replicator._connect
_remember = Replicator._remember
_end = Conversations.end
_grown = Conversations.grown
_hear = Exchange.hear
_follow = Following._follow
_why_refuse = ConnectionKeeper._why_refuse
_settle = ConnectionKeeper._settle
_drop = ConnectionKeeper._drop
_wanted = ConnectionKeeper._wanted


def _rely_on_any(clocks: Clocks, record: bytes | None, now_s: float) -> Mapping[FeedId, int]:
    return unpack_clock(record).sequences if record else {}


def _remember_all(
    replicator: Replicator, token: m.Token, record: bytes | None, now: float
) -> list[m.Effect]:
    replicator._clocks.fresh.add(replicator._loads[token])
    return _remember(replicator, token, record, now)


def _allow(faults: Faults, operation: Operation) -> bool:
    return False


def _never_overdue(sources: Sources[FeedId], feed: FeedId, now: float) -> None:
    return None


def _leave_for_good(talks: Conversations[FeedId], peer_id: m.PeerId, now: float) -> None:
    del talks.peers[peer_id]
    talks.doubts = {place: at for place, at in talks.doubts.items() if place[0] != peer_id}
    for feed in [feed for feed, source in talks.sources.active.items() if source.peer == peer_id]:
        talks.sources.forget(feed)


def _keep_to_oneself(
    talks: Conversations[FeedId], feed: FeedId, last: int, source: m.PeerId | None, now: float
) -> None:
    if source in talks.peers:
        talks.peers[source].exchanges.setdefault(feed, Exchange()).receive(last)
        talks.sources.progress(feed, source, now)


def _tell_all_the_same(
    talks: Conversations[FeedId], feed: FeedId, last: int, source: m.PeerId | None, now: float
) -> None:
    _grown(talks, feed, last, source, now)
    if not talks.following.replicates(feed):
        for peer_id in talks._talking():
            talks._note(peer_id, feed)


def _never_suspect(
    talks: Conversations[FeedId], peer_id: m.PeerId, feed: FeedId, now: float
) -> bool:
    return False


def _send_always(talks: Conversations[FeedId], now: float) -> None:
    for (peer_id, feed), at in talks.doubts.items():
        first, last = talks.peers[peer_id].claims(feed) + 1, talks.head(feed)
        if at <= now and first <= last:
            talks._sends.append(m.Send(peer_id, Range(feed, first, last, again=True)))


def _insist(exchange: Exchange, note: int) -> None:
    assert note < 0 or note >> 1 >= (exchange.theirs or 0), "a peer never has less than it said"
    _hear(exchange, note)


def _follow_for_now(following: Following, change: Follow) -> list[m.Write] | Denied:
    answer = _follow(following, change)
    return answer if isinstance(answer, Denied) else []


def _nothing_dropped(book: FeedBook, feed: FeedId) -> tuple[m.Effect, ...]:
    return ()


def _keep(line: Line) -> list[Arrival]:
    return []


def _refuse_all(talks: Conversations[FeedId], feed: FeedId) -> None:
    refusing = [
        peer
        for peer in talks.peers.values()
        if (exchange := peer.exchanges.get(feed)) and exchange.theirs == REFUSED
    ]
    _end(talks, feed)
    for peer in refusing:
        peer.refuse(feed)


def _replicate_all(following: Following, feed: FeedId) -> bool:
    return True


def _not_ended(talks: Conversations[FeedId], feed: FeedId) -> None:
    return None


def _greet_all(
    replicator: Replicator, peer_id: m.PeerId, now: float, *, outgoing: bool
) -> list[m.Effect]:
    blocks, replicator.following.blocks = replicator.following.blocks, {}
    try:
        effects = _connect(replicator, peer_id, now, outgoing=outgoing)
    finally:
        replicator.following.blocks = blocks
    assert not any(effect == m.Emit(PeerBlocked(peer_id)) for effect in effects)
    return effects


def _let_all_in(
    keeper: ConnectionKeeper, link: LinkId, peer: m.PeerId, rival: LinkId | None, now: float
) -> str | None:
    blocked, keeper.blocked = keeper.blocked, set()
    try:
        return _why_refuse(keeper, link, peer, rival, now)
    finally:
        keeper.blocked = blocked


def _call_all(keeper: ConnectionKeeper, peer: m.PeerId, now: float) -> bool:
    return peer in keeper.known


def _keep_both(
    keeper: ConnectionKeeper, link: LinkId, peer: m.PeerId, now: float
) -> tuple[m.Effect, ...]:
    keeper._peers.pop(peer, None)
    return _settle(keeper, link, peer, now)


def _call_once(keeper: ConnectionKeeper, peer: m.PeerId, now: float) -> bool:
    return _wanted(keeper, peer, now) and peer not in keeper._retries


REPLICATION_DEFECTS = (
    Defect(
        "old clocks trusted",
        "what peers said counts although the store is an older copy than the one last in use",
        EVENTUALLY,
        plans.roll_back,
        planting((Clocks, "relied_on", _rely_on_any)),
    ),
    Defect(
        "own feed left out",
        "who was put back to an old copy says nothing of its own feed, and gets none of it back",
        EVENTUALLY,
        plans.restore,
        planting((Replicator, "_remember", _remember_all)),
    ),
    Defect(
        "written on an old copy",
        "nobody keeps a person from writing before the own feed is back",
        HonestAuthors.name,
        plans.restore,
        planting((Replicator, "_remember", _remember_all), (Faults, "forbids", _allow)),
    ),
    Defect(
        "stalled source kept",
        "who is asked and sends nothing is asked for ever",
        EVENTUALLY,
        plans.withholder,
        planting((Sources, "overdue", _never_overdue)),
    ),
    Defect(
        "nobody asked after a source left",
        "no other peer takes the place of one that is gone",
        EVENTUALLY,
        plans.source_blocked,
        planting((Conversations, "leave", _leave_for_good)),
        tailored_only=(
            "it takes a block, for good, of the one peer that is sending a feed while another has"
            " offered the same messages, and nobody may write to that feed afterwards"
        ),
    ),
    Defect(
        "news kept to oneself",
        "peers are not told of what is new",
        EVENTUALLY,
        plans.writers,
        planting((Conversations, "grown", _keep_to_oneself)),
    ),
    Defect(
        "fork proof not asked for",
        "a message that does not fit leads to nothing",
        EVENTUALLY,
        plans.equivocator,
        planting((Conversations, "suspect", _never_suspect)),
    ),
    Defect(
        "sent again every second",
        "a peer that asks anew is sent the same all the time",
        SentAgainSeldom.name,
        plans.insistent,
        planting((Conversations, "send_again", _send_always)),
    ),
    Defect(
        "assertion within reach of peers",
        "a peer that says to have less than before ends the process",
        NoFailure.name,
        plans.liar,
        planting((Exchange, "hear", _insist)),
    ),
    Defect(
        "follow not written",
        "a follow is granted, and not put into the store",
        PromisesKept.name,
        plans.follows,
        planting((Following, "_follow", _follow_for_now)),
    ),
    Defect(
        "unfollowed feed still taken",
        "an unfollow changes nothing about who sends what",
        UnfollowedFeedsRest.name,
        plans.follows,
        planting((FeedBook, "drop", _nothing_dropped), (Conversations, "end", _not_ended)),
    ),
    Defect(
        "unfollowed feed still written",
        "what waits behind a write when a feed is unfollowed is written, too",
        UnfollowedFeedsRest.name,
        plans.follows_on_slow_disks,
        planting((Line, "let_go", _keep)),
    ),
    Defect(
        "unfollowed feed announced",
        "what was being written when a feed was unfollowed is told to peers",
        OnlyWhatIsReplicated.name,
        plans.follows_on_slow_disks,
        planting((Conversations, "grown", _tell_all_the_same)),
    ),
    Defect(
        "refusal to who had refused",
        "a peer that refused a feed is told at its unfollow, and then never again",
        EVENTUALLY,
        plans.refused_by_both,
        planting((Conversations, "end", _refuse_all)),
        seeds=(3, 4),
        tailored_only=(
            "it takes two neighbours that no longer follow a feed one after the other, and then one"
            " after the other do so again, with no way round them and no new connection meanwhile"
        ),
    ),
    Defect(
        "all feeds replicated",
        "what nobody follows is announced and asked for like the rest",
        OnlyWhatIsReplicated.name,
        plans.follows,
        planting((Following, "replicates", _replicate_all)),
    ),
    Defect(
        "blocked peer served",
        "a block is not looked at when a peer connects",
        BlockedPeersAreSentNothing.name,
        plans.blocks,
        planting(
            (Replicator, "_connect", _greet_all),
            (ConnectionKeeper, "_why_refuse", _let_all_in),
            (ConnectionKeeper, "_wanted", _call_all),
        ),
    ),
    Defect(
        "blocked peer connected",
        "a block ends no connection, and keeps nobody out",
        BlockedPeersAreCutOff.name,
        plans.blocks,
        planting(
            (Replicator, "_connect", _greet_all),
            (ConnectionKeeper, "_why_refuse", _let_all_in),
            (ConnectionKeeper, "_wanted", _call_all),
        ),
    ),
    Defect(
        "two links kept for one peer",
        "a connection does not take the place of another",
        OneLink.name,
        plans.collisions,
        planting((ConnectionKeeper, "_settle", _keep_both)),
    ),
    Defect(
        "lost peer not called again",
        "a dial that failed once is not repeated",
        EVENTUALLY,
        plans.outage,
        planting((ConnectionKeeper, "_wanted", _call_once)),
    ),
)
