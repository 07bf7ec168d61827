"""The Carve page."""
