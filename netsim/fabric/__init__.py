"""The network between nodes: paths with faults, streams in order, datagrams."""

from netsim.fabric.fabric import Fabric
from netsim.fabric.stream import End

__all__ = ["End", "Fabric"]
