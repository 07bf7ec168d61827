"""The command line: one file a command. Nothing here computes; every command calls the engine and
prints what it says."""
