"""What was called on what: tensors without numbers, the nodes between them, and what can be called on them."""
