"""The layers beside Keras 3 on TensorFlow: an oracle that never saw this library."""
