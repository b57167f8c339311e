"""Brings the nodes of a network of the hash table to life."""

from netsim.dht.asking import Asking
from netsim.dht.faces import Face
from netsim.dht.judging import Judge
from netsim.dht.member import DhtMember
from netsim.dht.net import Net
from netsim.dht.roles import MEMBERS
from netsim.dht.tables import Tables
from netsim.dht.warming import Warming
from netsim.world import World


def bring_to_life(world: World) -> None:
    assert world.plan.dht is not None
    net = Net(world, world.plan.dht)
    judge = Judge(net)
    net.found, world.figures = judge.found, judge.figures
    warming = Warming([each for each in net.faces if _is_known(each)])
    for number, site in world.sites.items():
        kind = MEMBERS.get(site.plan.role, DhtMember)
        world.members[number] = net.members[number] = kind(net, site, warming)
    Asking(net, judge).plan()
    Tables(net).begin()


def _is_known(face: Face) -> bool:
    """To tables that are as after a long time: it is there, and answers."""
    return face.born_at == 0 and face.role not in ("dht_silent", "dht_spoofer", "dht_crowd")
