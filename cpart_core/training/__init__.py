"""The training loop, a generator of records. Knows nothing of folders or screens. `records` needs
no torch."""
