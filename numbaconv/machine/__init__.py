"""What Numba and the processor offer, as words: vectors, tiles, memory, threads, the compiler and its cache.

The loops of `kernels` are plain Numba. Here Numba is bent where its own way costs too much. The seconds are those of
one core for a first 3 x 3 convolution, direct and by Winograd, with Numba 0.68; `asv_bench/bends.py` measures them:

| bend | in | with it | without |
| --- | --- | --- | --- |
| helpers are compiled as parts of their kernels | `parts` | 2.0 s, 3.7 s | 2.9 s, 8.6 s |
| LLVM optimizes kernels at level 1 | `parts` | 2.0 s, 3.7 s | 2.2 s, 4.3 s |
| no garbage is collected while Numba compiles | `parts` | 2.0 s, 3.7 s | 2.3 s, 4.1 s |
| Ctrl-C and forks wait for the compiler | `parts`, `threads` | | half a kernel, a child that waits for ever |
| machine code is kept on disk, known by all its sources | `cache` | 0.15 s | 2.0 s in every process, or old code |
| code from disk runs without the compiler being loaded | `cache` | 0.15 s | 0.43 s |
| code from disk runs without Numba being imported | `start`, `native`, `words` | | 0.15 s in every process |
| workqueue takes launches beside and inside others | `launching` | | the process is aborted |
| OpenMP's idle threads soon sleep | `threads` | 0.08 ms | 0.32 ms a small call beside busy processes |

Large results share memory with results that are gone: `recycling`. What a network lacks, two processes compile:
`sharing`.

Machine code is as fast without `parts`. Tiles in registers, and memory by flat index, are intrinsics (`tile`, `line`,
`square`, `memory`): what they pay is shown in `examples/ladder`.

What Numba documents for extensions (``numba.extending``, ``numba.types``, ``numba.core.cgutils``, ``llvmlite.ir``) is
used freely. All private names stand in `parts`, `cache`, `launching`, `native` and `words`, each of which can be done
without: `private`. Modules here and in `kernels` are imported without Numba; what stands for it is in `words`.
"""
