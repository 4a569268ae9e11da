"""What ``python -m numbaconv`` tells of an installation and of its machine."""
