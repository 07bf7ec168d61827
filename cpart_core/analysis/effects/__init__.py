"""What changing segments does."""
