"""Changes of the `Host` for the fixture `recut`."""

# Of the blocks that fit the cache, those of the cheapest task, or as few as can be.
SMALL_BLOCKS = {"strip_bytes": 400, "task_cost": 0, "threads": 10**6, "cores": (10**6,), "serial_work": 0}
LARGE_BLOCKS = {"strip_bytes": 2**40, "task_cost": 10**12, "threads": 1, "cores": (1,), "serial_work": 0}
FITTING_BLOCKS = {**LARGE_BLOCKS, "strip_bytes": 1500}
# Plans for numbers of threads that this machine may not have.
THREADS = [{"threads": count, "serial_work": 0} for count in (1, 2, 3, 8, 16, 64)]
