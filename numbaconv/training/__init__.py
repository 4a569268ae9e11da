"""What `numbaconv.models.Sequential` has for training; reached through its methods.

`trainer` holds those methods, `fitting` the course of a training, `steps` a single step, `examples` what it is fed
with, `progress` what it shows, and `callback` what `numbaconv.callbacks` are made of.
"""
