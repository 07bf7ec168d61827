"""Figures of the Carve page."""
