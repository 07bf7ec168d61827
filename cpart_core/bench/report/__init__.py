"""What measurements write."""
