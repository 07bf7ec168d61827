"""The text that the Fusion page opens with, so that its trace can be computed ahead of time.
Nothing else."""

from __future__ import annotations

FIRST_TEXT = """12 * 7 = 84
15 + 9 = 24

def area(width, height):
    return width * height

The area is the product of its two sides.
"""
"""Arithmetic, code and prose: three contexts in a few lines, so that one can see fusion change its
mind. Short enough for every preset."""
