"""How coherent the texts are that models write."""
