"""The Gradients page."""
