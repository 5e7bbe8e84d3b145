"""Networks that are fitted to one scan by itself (Feng et al. 2025, arXiv:2511.19641)."""
