"""What many floors ask of arguments and arrays."""
