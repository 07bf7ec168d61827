"""Figures of the Speed page."""
