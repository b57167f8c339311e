"""A Kademlia DHT: finds nodes, and who holds a stream, among liars (spec/dht.md)."""
