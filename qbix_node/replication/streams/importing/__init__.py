"""Segments out of files."""
