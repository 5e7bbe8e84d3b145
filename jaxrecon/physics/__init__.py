"""Physics of the MRI acquisition as pure functions on arrays."""
