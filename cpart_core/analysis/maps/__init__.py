"""Neurons and documents on a plane."""
