"""Accelerated-MRI reconstruction in JAX/Flax with frozen foundation models as priors."""
