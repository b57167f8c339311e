"""Streams: Merkle logs with signed Heads, and the proofs of their forks (spec/streams.md)."""
