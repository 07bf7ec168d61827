"""The feed-forward layer's executions: each computes the same function, the fastest is chosen by
device and shape (table.py)."""
