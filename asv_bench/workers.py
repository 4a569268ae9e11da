"""How much faster workers of Dask's get an image than one of them does, and what the machine allows at most.

    python asv_bench/workers.py                          # one and two workers, in turn; a minute and a half
    python asv_bench/workers.py --workers 1 2 4 8 --size 4096 --rounds 2  # on more cores
    python asv_bench/workers.py --publish                # writes the table into docs/large_images.md
    python asv_bench/workers.py --publish --kept         # measures nothing: what --json holds from before

Workers are processes of one thread. All of them run all the time; Dask is told which may take part. So few and many
take turns within seconds, and what else the machine does meets them alike. Workers make the image themselves and keep
the result; what travels between them are the pieces at the edges of blocks.

The ceiling is measured in the same turns: as many of the same processes, each of which predicts blocks of its own and
knows of no others. What they lack of as many times the speed of one lies in the machine: in cores that share a core, a
cache, or the way to memory.
"""

import argparse
import json
import os
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import dask
import dask.array as da
import numpy as np
from distributed import Client, LocalCluster, futures_of, wait
from paste import ROOT, publish

import numbaconv.dask
from numbaconv.layers import Add, Concatenate, Conv2D, Conv2DTranspose, Input, MaxPooling2D
from numbaconv.models import Model

PAGE = ROOT / "docs" / "large_images.md"
JSON = ROOT / "asv_bench" / ".asv" / "workers.json"
WAYS = ("by_themselves", "through_dask")


class Turn(NamedTuple):
    """Seconds of one turn: of the clock, and of a core, of the workers and of the process that has the scheduler."""

    clock: float
    workers: float
    scheduler: float


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


def by_itself(model: Model, chunk: int, count: int) -> None:
    """Predict so many blocks, of which nothing is kept."""
    x = np.random.default_rng(0).integers(256, size=(1, chunk, chunk, 3), dtype=np.uint8)
    with numbaconv.dask.tasks.spread_over(1):
        for _ in range(count):
            model.predict(x, verbose=0)


class Turns:
    """One image, computed by some of the workers or by all.

    Parameters
    ----------
    client : Client
    size, chunk : int
        Pixels along each side of the image and of a block.
    """

    def __init__(self, client: Client, size: int, chunk: int) -> None:
        self.client, self.chunk, self.count = client, chunk, (-(-size // chunk)) ** 2
        self.addresses = list(client.scheduler_info(n_workers=-1)["workers"])
        chunks = da.core.normalize_chunks((1, chunk, chunk, 3), (1, size, size, 3))
        image = da.map_blocks(block, chunks=chunks, dtype="uint8", meta=np.empty((0,) * 4, "uint8"))
        self.model = network()
        self.lazy = numbaconv.dask.predict(self.model, image)
        (self.kept,) = client.scatter([self.model], broadcast=True)

    def through_dask(self, some: list[str]) -> None:
        with dask.annotate(workers=some, allow_other_workers=False):
            result = self.lazy.persist(optimize_graph=False)
        wait(futures_of(result))

    def by_themselves(self, some: list[str]) -> None:
        shares = [self.count // len(some) + (i < self.count % len(some)) for i in range(len(some))]
        tasks = zip(some, shares, strict=True)
        wait([self.client.submit(by_itself, self.kept, self.chunk, n, workers=[one], pure=False) for one, n in tasks])

    def turn(self, way: str, count: int) -> Turn:
        """What the first workers take for the whole image."""
        before, own = self._processors(), time.process_time()
        start = time.perf_counter()
        getattr(self, way)(self.addresses[:count])
        clock, own = time.perf_counter() - start, time.process_time() - own
        found = Turn(clock, self._processors() - before, own)
        # Nothing of it may be there in the next turn; the model stays.
        while any(n > 1 for n in self.client.run(lambda dask_worker: len(dask_worker.data)).values()):
            time.sleep(0.05)
        return found

    def _processors(self) -> float:
        return sum(self.client.run(time.process_time).values())


def measured(options: argparse.Namespace) -> dict[str, Any]:
    with (
        LocalCluster(n_workers=max(options.workers), threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        turns = Turns(client, options.size, options.chunk)
        ways = [(way, count) for count in options.workers for way in WAYS]
        taken: dict[tuple[str, int], list[Turn]] = {one: [] for one in ways}
        # Compiles and prepares, everywhere.
        for way in WAYS:
            turns.turn(way, max(options.workers))
        for _ in range(options.rounds):
            for way, count in ways:
                found = turns.turn(way, count)
                taken[way, count].append(found)
                spent = f"workers {found.workers:.2f}, scheduler {found.scheduler:.2f} s of a core"
                print(f"{count} {way}: {found.clock:.2f} s; {spent}", flush=True)
    return {
        "size": options.size,
        "chunk": options.chunk,
        "rounds": options.rounds,
        "cores": os.cpu_count(),
        "rows": [[count, *map(median, zip(*taken[way, count], strict=True)), way] for way, count in ways],
    }


def told(found: dict[str, Any]) -> str:
    """What was found, as a table."""
    pixels, rows = found["size"] ** 2 / 1e6, {(row[-1], row[0]): Turn(*row[1:-1]) for row in found["rows"]}
    lines = [
        f"An image of {found['size']:,} x {found['size']:,} x 3 bytes through a small U-Net, in chunks of "
        f"{found['chunk']}, on a machine of {found['cores']} cores (medians of {found['rounds']} turns, "
        "`asv_bench/workers.py`). By themselves, the same processes predict blocks and know of no others: what they "
        "lack of as many times the speed of one is the machine's. What Dask's workers lack of that is what chunks read "
        "of each other, the scheduler, and what travels.",
        "",
        "| workers of one thread | by themselves, megapixels/s | times one | through Dask | times one | of what is "
        "possible | scheduler, s of a core |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    counts = [count for way, count in rows if way == "through_dask"]
    for count in counts:
        alone, lazy = rows["by_themselves", count], rows["through_dask", count]
        times, gained = (rows[way, counts[0]].clock / rows[way, count].clock for way in WAYS)
        cells = [f"{count}", f"{pixels / alone.clock:.2f}", f"{times:.2f}", f"{pixels / lazy.clock:.2f}"]
        cells += [f"{gained:.2f}", f"{gained / times:.0%}", f"{lazy.scheduler:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="numbers of workers to compare")
    parser.add_argument("--size", type=int, default=3072, help="pixels along each side of the image")
    parser.add_argument("--chunk", type=int, default=512, help="and of a chunk")
    parser.add_argument("--rounds", type=int, default=3, help="of which the medians count")
    parser.add_argument("--json", type=Path, default=JSON, help="where what was found is kept")
    parser.add_argument("--kept", action="store_true", help="measure nothing; take what was found before")
    parser.add_argument("--publish", action="store_true", help="write the table into docs/large_images.md")
    options = parser.parse_args()
    if not options.kept:
        options.json.parent.mkdir(exist_ok=True, parents=True)
        options.json.write_text(json.dumps(measured(options), indent=1), encoding="utf-8")
    text = told(json.loads(options.json.read_text(encoding="utf-8")))
    print(text)
    if options.publish:
        publish(text, "workers", PAGE)


if __name__ == "__main__":
    main()
