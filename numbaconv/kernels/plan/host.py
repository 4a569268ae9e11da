"""What a plan supposes of the processor: sizes of its caches, numbers of cores, and what its work costs."""

from ...machine.vectors import TILE_ROWS
from ...objects.tuples import NamedTuple


class Host(NamedTuple):
    """A processor as plans see it; costs are counted in multiply-adds of vectors.

    The vectors and the tile are not here: kernels are compiled for those of `machine.vectors`, whatever is planned.
    """

    # Threads that share the work; 0 stands for those that a kernel called now is spread over.
    threads: int = 0
    # Numbers of cores that a sum over windows is cut for, whatever there are.
    cores: tuple[int, ...] = (2, 4)
    # Multiply-adds below which waking the other cores costs more than it saves.
    serial_work: int = 500_000
    # What a weight, an output or, depthwise, an input counts where threads are awake in any case: it comes from far, or
    # from another core.
    moved_cost: int = 10

    # Of a core's L2 cache, what a strip may take, which shares it with a panel of weights.
    strip_bytes: int = 128 * 1024
    # How often that much the input of windows of one tap may take.
    point_strips: int = 6
    # What a window takes of it beside the strip: its places in the tables, and the line of outputs being written.
    place_bytes: int = 64
    # What Winograd's transformed input may take of it.
    spread_bytes: int = 256 * 1024
    # What Winograd's transformed input may take of the L3 cache where threads share it.
    shared_bytes: int = 8 * 1024 * 1024
    # What an L2 cache holds at least: larger weights come from L3.
    l2_bytes: int = 1024 * 1024
    # Multiply-adds for each value that lies between convolutions, up to which one pass takes less time than two.
    band_work: int = 64
    # For each thread, what lies between two convolutions and had better stay in the cache, at least; the part of its
    # rows that may be computed twice for that; and rows that take as long as to begin with some more.
    band_bytes: int = 400 * 1024
    band_share: float = 0.05
    band_rows: float = 1.5
    # What a stage of a network reads and writes had better not exceed, where images may take turns.
    near_bytes: int = 10 * 1024 * 1024
    # Rows of outputs that take as long to compute as their weights take to come from L3.
    l3_rows: int = 14
    # The part of them that is waited for where the weights of the next steps are asked for ahead.
    far_rows: int = 4

    # Times its share that a thread may have to do before a separable convolution of such weights becomes two calls.
    uneven: float = 1.05

    # Starting a task, and starting all of them once more, on threads that are still awake.
    task_cost: int = 4000
    region_cost: int = 20_000
    # Copying one element into a strip.
    copy_cost: float = 0.5
    # Beginning a copy.
    call_cost: int = 20
    # Finding where a run of windows of a tap lies, and copying it.
    run_cost: int = 120
    # A depthwise multiply-add, which loads its own values.
    loads_cost: int = 2
    # With a depth multiplier: ending and storing a vector of sums, and one of positions; making a vector of copies of
    # channels; copying a value of a channel by itself.
    store_cost: int = 12
    row_cost: int = 16
    repeat_cost: int = 32
    single_cost: int = 4
    # Without one: bringing a pixel that is no whole vectors, ending a vector of its sums, and a multiply-add of it; of
    # one channel after the other, a task, bringing a value, ending a sum, and a multiply-add.
    line_costs: tuple[float, float, float] = (22, 3.5, 0.7)
    channel_costs: tuple[float, float, float, float] = (6000, 0.5, 3.5, 1.2)
    # To few filters: a vector of a window's inputs for the only filter, and for one of several, and adding up the lanes
    # of a vector of sums.
    few_costs: tuple[float, float, float] = (3, 1.2, 8)
    # Moving a value between planes and rows of planes; squares, or less, of whole pixels and of parts of them, which
    # come from far; what it takes other kernels to read and write planes.
    plane_cost: float = 0.3
    square_costs: tuple[float, float] = (0.5, 1.2)
    pixel_costs: tuple[float, float] = (1.5, 4.0)
    planes_cost: float = 1.0
    # Beginning a product of planes, and a tile of it; what a multiply-add of it takes of one among these, which swap
    # axes, too.
    outer_costs: tuple[float, float, float] = (800, 3, 0.75)
    # The part that a convolution over positions must take of the usual time.
    positions_share: float = 0.85
    # Winograd's transform of a 6x6 patch of one channel.
    transform_cost: int = 40
    # What it takes longer where other threads are to read it.
    spread_cost: int = 10
    # Reading Winograd's weights, in rows of a tile.
    weights_cost: int = 2
    # Adding a tile of a gradient to its sum, in windows: where the sums of a task stay in L2, and where not.
    add_cost: int = 6
    far_add_cost: int = 10
    # Copying one element for a gradient of weights, pixel by pixel.
    strips_cost: float = 1.0

    # A task's sums over windows, which should stay in L2 while the task goes through them.
    sum_bytes: int = 512 * 1024
    # All tasks' sums together.
    sums_bytes: int = 32 * 1024 * 1024
    # Tasks that keep many cores busy with sums.
    sum_tasks: int = 8
    # Parts of the rows of sums that so many tasks at most share, each with strips of its own.
    row_pieces: int = 8

    # Tasks of `kernels.scatter` for each thread, so that all are busy.
    scatter_tasks: int = 4

    # Rows of the tile that Winograd's products may have: the taller loads less, the lower leaves fewer rows unused.
    winograd_rows: tuple[int, ...] = (14, 8) if TILE_ROWS == 14 else (TILE_ROWS,)
    # Patches that a task of Winograd's may have whatever the cache holds: with fewer, it waits for weights.
    winograd_windows: int = 28

    # Planes of channels that a task may write for each of its windows: in more it would begin more pages than it fills.
    window_planes: int = 16
    # The same for a separable convolution.
    separable_planes: int = 4
    # What a task's outputs for planes may take before they are written.
    plane_bytes: int = 1024 * 1024


HOST = Host()
