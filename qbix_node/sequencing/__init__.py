"""Entries of several owners and of further writers under one Head (spec/sequencing.md)."""
