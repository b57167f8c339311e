"""Tell followers of the node's own feed which feeds are forked."""
