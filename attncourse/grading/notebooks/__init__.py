"""Notebooks, read: what an instructor asks, and any file at all."""
