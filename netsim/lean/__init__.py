"""The lean driver: the product's machines in one heap of events, for many nodes and many seeds.

It carries out effects as `qbix_node.runtime` and the services do, without trio: what is decided is
the product's own, what is done about it is written here anew.
"""

from netsim.lean.driver import LeanDriver

__all__ = ["LeanDriver"]
