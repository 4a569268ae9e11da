"""Keras's files and models: what they say of a network, in this library's words."""
