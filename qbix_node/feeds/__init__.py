"""Classic Scuttlebutt feeds: encoding, validation, private messages, what is appended."""
