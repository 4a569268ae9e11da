"""The version, below everything that writes it into files and reports."""

__version__ = "0.1.0"
