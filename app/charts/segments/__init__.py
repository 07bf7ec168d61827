"""Figures of the Segments page."""
