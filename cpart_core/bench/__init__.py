"""Side-by-side measurements: python -m cpart_core bench ..."""
