"""How streams are exchanged (spec/replication.md 10)."""
