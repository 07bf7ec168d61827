"""Figures of the Fusion page."""
