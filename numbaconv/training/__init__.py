"""What `numbaconv.models.Sequential` has for training; reached through its methods.

`trainer`, `compiling` and `predicting` hold those methods, `fitting` the course of a training, `steps` a single step,
`batches` and `examples` what it is fed with, `progress` what it shows, and `callback` what `numbaconv.callbacks` are
made of.
"""
