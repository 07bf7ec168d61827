"""How measurements are made: processes, turns, browsers."""
