"""Heads told from node to node, compared, and forks proven (spec/gossip.md)."""
