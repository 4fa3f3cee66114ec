"""New models for a device: their signature, the folder they live in, the step back."""
