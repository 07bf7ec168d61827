"""The decoder: attention, partitioned feed-forward, fusion, cache, generation."""
