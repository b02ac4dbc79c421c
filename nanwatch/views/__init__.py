"""The faces: they read runs and alerts and feed nothing back."""
