"""Configuration, wiring and life of the long-running process."""
