"""Contents that did not come with their entries (spec/replication.md 10.1)."""
