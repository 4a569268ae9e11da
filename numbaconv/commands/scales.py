"""What the values of a picture may be turned into; a file of its own, which needs no NumPy."""

# By the names of --scale: what 0 and 255 become.
SCALES = {"raw": (0, 255), "unit": (0, 1), "signed": (-1, 1)}
