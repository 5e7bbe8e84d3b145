"""Readers, writers and pipelines of k-space data sets."""
