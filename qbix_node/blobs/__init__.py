"""Files named by their SHA-256: stored, wanted, fetched and served."""
