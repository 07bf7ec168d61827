"""Side-by-side measurements of speed and endurance: python -m cpart_core bench NAME (what a model
is worth: `study`).

Each module that `cli/bench.py` names is one measurement with `add_arguments(parser)` and
`main(argv) -> exit code`; modules that begin with `_` are what several of them share, `speed` is
the file that `all` stores and the Speed page shows, `peers/` are other people's models. Ratios on
one machine are meant to be compared, absolute times are not.
"""
