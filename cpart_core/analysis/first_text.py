"""The text that the Fusion page opens with, so that its trace can be computed ahead of time. Nothing else."""

from __future__ import annotations

FIRST_TEXT = """def area(width, height):
    return width * height

The area of a rectangle is the product of its width and its height.
12 * 7 = 84
"""
"""Code, prose and arithmetic in a few lines: three contexts of the built-in corpus, so that a change of context can be seen."""
