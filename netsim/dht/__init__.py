"""Networks of the hash table alone, in the lean driver: `qbix_node.dht` on simulated datagrams.

Every node is a machine and no more. What plays here are tables, lookups and records; who speaks how
long with whom is known from outside, so that what was found can be compared with what was there.
"""

from netsim.dht.bringing import bring_to_life

__all__ = ["bring_to_life"]
