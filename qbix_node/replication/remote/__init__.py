"""What replication says and hears on one link."""
