"""How an operation is cut into tasks: integers alone, worked out once per shape.

`plans` weighs the ways to cut that `search` finds, by what `host` says of the processor, and writes what it chose into
the tables of `axes`, which kernels read. A plan depends on shapes, the dtype and the vector width, never on timings.

Of everything that is planned, only the blocks and ``splits`` of `make_sum_plan` and the ``cut`` of `channel_sums`
decide in which order values are added up. All else may follow the number of threads without changing a bit of a result.
"""
