"""`qbix-node stream`: logs that others can check."""
