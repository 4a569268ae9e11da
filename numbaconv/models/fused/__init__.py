"""The program of `predict`: a network whose layers are joined where one pass over memory can do the work of several.

`reading` makes stages of a network's steps, one for each thing that a layer does. `rules` joins stages: a table, each
rule with its before and after. `preparing` prepares a stage for arrays of one shape, and `running` runs them all, in
memory that `arena` has laid out.
"""
