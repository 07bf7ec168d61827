"""The Coherence page."""
