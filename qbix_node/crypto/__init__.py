"""Ed25519, boxes and hashes through libsodium and hashlib: the only home of PyNaCl."""
