"""A deterministic simulator of whole networks of nodes (docs/netsim.md).

Whatever a run does follows from its plan and the code. It may import `qbix_node`, never the
reverse.
"""
