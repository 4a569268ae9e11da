"""The version, below everything that writes it into files and reports."""

__version__ = "1.0.0rc1"
