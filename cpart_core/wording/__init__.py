"""How numbers and lines are written for people. Standard library only."""
