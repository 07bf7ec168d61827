"""Side-by-side measurements of speed and endurance: python -m cpart_core bench NAME (what a model is worth: `study`).

Each public module is one measurement with `add_arguments(parser)` and `main(argv) -> exit code`; modules that begin with `_` are what
several of them share. Ratios on one machine are meant to be compared, absolute times are not.
"""
