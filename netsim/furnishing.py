"""What a node has on its disk before the run: as if a person had set it up and stopped it."""

from collections.abc import Mapping

from netsim.site import Site
from qbix_node.net import records
from qbix_node.ports import Write
from qbix_node.replication.following import Following
from qbix_node.replication.messages import Denied, Follow
from qbix_node.store.writer import put_commit


def furnish(site: Site, sites: Mapping[int, Site]) -> None:
    """Its peers and follows."""
    writes: list[Write] = [records.remember(sites[known].address) for known in site.plan.knows]
    following = Following(site.feed)
    for followed in site.plan.follows:
        change = following.change(Follow(sites[followed].feed))
        assert not isinstance(change, Denied)
        writes += change
    if writes:
        site.disk.append([*writes, put_commit(1)])
        site.disk.sync()
