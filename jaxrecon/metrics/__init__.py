"""Image-quality metrics and the named protocols that apply them."""
