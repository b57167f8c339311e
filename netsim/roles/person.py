"""What a person's operation means for the Replicator of a role."""

from netsim.asking import content_of
from netsim.clocks import EPOCH_S
from netsim.plan import Do, Operation
from netsim.roles.role import Stage
from qbix_node.feeds.messages import Publish, Readers
from qbix_node.replication.messages import Block, Follow, Unblock, Unfollow

_CHANGES = {
    Do.FOLLOW: Follow,
    Do.UNFOLLOW: Unfollow,
    Do.BLOCK: Block,
    Do.UNBLOCK: Unblock,
}


def requests(operation: Operation, stage: Stage, now: float) -> list[object]:
    target = None if operation.target is None else stage.sites[operation.target].feed
    if operation.do is Do.PUBLISH:
        readers = None if target is None else Readers((target,))
        stamp_ms = int(1000 * (EPOCH_S + now))
        return [Publish(operation.number, content_of(operation), stamp_ms, readers)]
    if operation.do in _CHANGES and target is not None:
        return [_CHANGES[operation.do](target)]
    return []
