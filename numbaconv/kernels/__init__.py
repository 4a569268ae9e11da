"""The loops: canonical arrays ``(N, D, H, W, C)`` and integers in, nothing checked, nothing raised."""
