"""What Numba and the processor offer, as words: vectors, tiles, memory, threads, the compiler and its cache."""
