"""What people ask of streams."""
