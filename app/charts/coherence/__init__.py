"""Figures of the Coherence page."""
