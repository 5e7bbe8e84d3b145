"""Anatomies drawn as ellipses: what a phantom shows."""
