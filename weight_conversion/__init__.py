"""Scripts run once that turn published checkpoints into weights/<name>/."""
