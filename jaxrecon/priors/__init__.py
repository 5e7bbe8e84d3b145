"""Semantic priors: a frozen encoder's embeddings of auxiliary images as a regularisation."""
