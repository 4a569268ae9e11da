"""What ``python -m numbaconv`` does with a file that holds a network.

`networks` has the commands, `inputs` reads what a network is fed with.
"""
