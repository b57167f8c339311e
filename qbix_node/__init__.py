"""A peer-to-peer node for signed streams, compatible with Secure Scuttlebutt."""

__version__ = "0.1.0"
