"""Keeping the segments that one context or text needs, and carving."""
