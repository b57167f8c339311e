"""Streams over one link."""
