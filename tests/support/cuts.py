"""Knobs of `numbaconv.kernels.plan` for the fixture `recut`."""

# Knobs of `numbaconv.kernels.plan`: of the blocks that fit the cache, those of the cheapest task, or as few as can be.
SMALL_BLOCKS = {"STRIP_BYTES": 400, "TASK_COST": 0, "CORES": (10**6,), "SERIAL_WORK": 0}
LARGE_BLOCKS = {"STRIP_BYTES": 2**40, "TASK_COST": 10**12, "CORES": (1,), "SERIAL_WORK": 0}
FITTING_BLOCKS = {**LARGE_BLOCKS, "STRIP_BYTES": 1500}
