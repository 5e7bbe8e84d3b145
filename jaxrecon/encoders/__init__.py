"""Frozen vision encoders: what they are, what they see and where their weights come from."""
