"""Who holds what is followed, and where: the node's use of the DHT (spec/dht.md 11)."""
