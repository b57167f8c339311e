"""Bytes in and out: strict msgpack, V8-exact JSON and the references that name things."""
