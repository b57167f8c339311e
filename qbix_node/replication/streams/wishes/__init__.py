"""Requests of the daemon to the machine of streams."""
