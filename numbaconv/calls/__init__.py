"""Prepared calls: all that shapes and settings decide, worked out once for many calls."""
