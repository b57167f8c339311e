"""What makes a head of a watched stream final, as bytes that anybody checks (spec/watchers.md)."""
