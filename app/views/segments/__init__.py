"""The Segments page."""
