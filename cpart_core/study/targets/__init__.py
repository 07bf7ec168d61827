"""Figures to reach, CPart's own: each beside what a study measured, with controls and a verdict."""
