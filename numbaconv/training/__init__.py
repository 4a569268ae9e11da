"""What `numbaconv.models.Sequential` has for training; reached through its methods.

`trainer`, `compiling` and `predicting` hold those methods, `fitting` the course of a training, `steps` a single step,
`batches` and `examples` what it is fed with, and `progress` what it shows. `trainee` lists what all of it needs of a
model, which it knows by nothing else.
"""
