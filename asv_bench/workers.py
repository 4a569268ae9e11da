"""How much faster workers of Dask's get an image than one of them does, each a process of one thread.

    python asv_bench/workers.py                # one and two workers, in turn
    python asv_bench/workers.py --workers 1 4  # on more cores
    python asv_bench/workers.py --publish      # writes the sentence into docs/large_images.md

All workers run all the time; Dask is told which of them may take part. So one and several take turns within seconds,
and what else the machine does meets them alike. Workers make the image themselves and keep the result; what travels
between them are the pieces at the edges of blocks.
"""

import argparse
import statistics
import time
from typing import Any

import dask
import dask.array as da
import numpy as np
from distributed import Client, LocalCluster, futures_of, wait
from paste import ROOT, publish

import numbaconv.dask
from numbaconv.layers import Add, Concatenate, Conv2D, Conv2DTranspose, Input, MaxPooling2D
from numbaconv.models import Model

PAGE = ROOT / "docs" / "large_images.md"


def network() -> Model:
    """A small U-Net."""
    settings = {"padding": "same", "activation": "relu"}
    x = Input((None, None, 3))
    first = Conv2D(24, 3, **settings)(Conv2D(24, 3, **settings)(x))
    half = Conv2D(48, 3, **settings)(Conv2D(48, 3, **settings)(MaxPooling2D()(first)))
    low = Conv2D(96, 3, **settings)(Conv2D(96, 3, **settings)(MaxPooling2D()(half)))
    half = Add()([half, Conv2DTranspose(48, 4, 2, padding="same")(low)])
    first = Concatenate()([first, Conv2DTranspose(24, 4, 2, padding="same")(half)])
    return Model(x, Conv2D(3, 3, padding="same")(Conv2D(24, 3, **settings)(first)))


def block(block_info: Any = None) -> np.ndarray:
    """Bytes of an image."""
    (place,) = [one for key, one in block_info.items() if key is None]
    return np.random.default_rng(place["chunk-location"]).integers(256, size=place["chunk-shape"], dtype=np.uint8)


def seconds(client: Client, lazy: Any, some: list[str]) -> float:
    """That these workers take for the whole image, which stays with them."""
    start = time.perf_counter()
    with dask.annotate(workers=some, allow_other_workers=False):
        kept = lazy.persist(optimize_graph=False)
    wait(futures_of(kept))
    taken = time.perf_counter() - start
    del kept
    # Nothing of it may be there in the next turn.
    while any(client.run(lambda dask_worker: len(dask_worker.data)).values()):
        time.sleep(0.05)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="numbers of workers to compare")
    parser.add_argument("--size", type=int, default=4096, help="pixels along each side of the image")
    parser.add_argument("--chunk", type=int, default=512, help="and of a chunk")
    parser.add_argument("--rounds", type=int, default=5, help="of which the medians count")
    parser.add_argument("--publish", action="store_true", help="write the sentence into docs/large_images.md")
    options = parser.parse_args()
    shape = (1, options.size, options.size, 3)
    chunks = da.core.normalize_chunks((1, options.chunk, options.chunk, 3), shape)
    image = da.map_blocks(block, chunks=chunks, dtype="uint8", meta=np.empty((0,) * 4, "uint8"))
    lazy = numbaconv.dask.predict(network(), image)
    with (
        LocalCluster(n_workers=max(options.workers), threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        addresses = list(client.scheduler_info(n_workers=-1)["workers"])
        taken: dict[int, list[float]] = {count: [] for count in options.workers}
        for turn in range(options.rounds + 1):
            for count in options.workers:
                found = seconds(client, lazy, addresses[:count])
                # The first turn compiles and prepares.
                if turn:
                    taken[count].append(found)
                    print(f"{count} worker(s): {found:.2f} s", flush=True)
    first, *others = options.workers
    base = statistics.median(taken[first])
    sentence = (
        f"An image of {options.size:,} x {options.size:,} x 3 bytes through a small U-Net, in chunks of "
        f"{options.chunk}: with {first} worker of one thread {options.size**2 / base / 1e6:.2f} megapixels a second; "
        + "; ".join(f"{count} are {base / statistics.median(taken[count]):.2f} times as fast" for count in others)
        + f" (medians of {options.rounds} turns, `asv_bench/workers.py`)."
    )
    print(sentence)
    if options.publish:
        publish(sentence, "workers", PAGE)


if __name__ == "__main__":
    main()
