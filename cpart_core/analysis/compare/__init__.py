"""Two checkpoints, or two snapshots, side by side."""
