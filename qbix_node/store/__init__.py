"""Durable key-value storage: LevelDB, and a twin in memory that behaves the same."""
