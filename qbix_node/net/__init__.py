"""Authenticated connections: secret handshake, box stream, muxrpc, and who to dial."""
