"""Two axes at work: a window that slides, and values that are scattered."""

import numpy as np

from numbaconv import reference
from numbaconv.shapes import conv_padding, deconv_crop, deconv_length, dilated_kernel_size

from .svg import BLUE, CELL, GREEN, INK, ORANGE, PALE, Picture, number

IMAGE = np.array(
    [
        [1, 2, 0, 3, 1, 2, 4],
        [0, 1, 3, 2, 2, 1, 0],
        [2, 4, 1, 0, 1, 3, 2],
        [3, 0, 2, 1, 5, 0, 1],
        [1, 2, 1, 3, 0, 2, 1],
        [0, 1, 4, 2, 1, 3, 2],
        [2, 0, 1, 1, 3, 2, 0],
    ],
    float,
)
KERNEL = np.array([[1, 0, 2], [0, 1, 0], [2, 1, 1]], float)
LEFT, TOP = 14, 36


def _image(values):
    return values.reshape(1, 1, *values.shape, 1)


def draw_slide(n, padding="valid", stride=1, dilation=1):
    """A 3x3 kernel slides over an image of n x n numbers, and each place of it gives a number."""
    x, k = IMAGE[:n, :n], len(KERNEL)
    before, after = conv_padding(n, k, padding, stride, dilation)
    settings = (1, stride, stride), (1, dilation, dilation), (0, before, before), (0, after, after)
    out = reference.conv(_image(x), KERNEL.reshape(1, k, k, 1, 1), np.zeros(1), *settings)[0, 0, :, :, 0]
    padded = np.pad(x, ((before, after), (before, after)))
    span = dilated_kernel_size(k, dilation)
    alt = (
        f"A kernel of 3x3 numbers slides over {n}x{n} numbers, {padding!r}, stride {stride}, dilation {dilation}; "
        f"the output has {len(out)}x{len(out)} numbers, from {number(out[0, 0])} to {number(out[-1, -1])}."
    )
    picture = Picture(alt, out.size)
    border = ((before, after), (before, after))
    right = LEFT + len(padded) * CELL + 34
    out_y = TOP + k * CELL + 40
    for x_at, y, words, colour in (
        (LEFT, TOP, "input", BLUE),
        (right, TOP, "kernel", ORANGE),
        (right, out_y, "output", GREEN),
    ):
        picture.text(x_at, y - 18, words, 16, colour, "start")
    picture.grid(LEFT, TOP, padded, border=border)
    picture.grid(right, TOP, KERNEL, ORANGE)
    picture.grid(right, out_y, [[""] * len(out)] * len(out), GREEN)
    for frame, (r, c) in enumerate(np.ndindex(out.shape)):
        with picture.during(frame, picture.frames):
            picture.text(right + (c + 0.5) * CELL, out_y + (r + 0.5) * CELL, number(out[r, c]))
        top, left = r * stride, c * stride
        taps = [(top + a * dilation, left + b * dilation) for a, b in np.ndindex(k, k)]
        with picture.during(frame):
            for (y, x_at), weight in zip(taps, KERNEL.ravel(), strict=True):
                at = LEFT + x_at * CELL, TOP + y * CELL
                picture.cell(*at, "", ORANGE)
                picture.text(at[0] + CELL / 2 - 4, at[1] + CELL / 2 - 3, number(padded[y, x_at]))
                picture.text(at[0] + CELL - 9, at[1] + CELL - 9, f"·{number(weight)}", 12, ORANGE)
            picture.frame(LEFT + left * CELL, TOP + top * CELL, span, span)
            picture.frame(right + c * CELL, out_y + r * CELL, 1, 1)
            _sum(picture, right, out_y + len(out) * CELL + 24, padded, taps, out[r, c])
    return picture


def _sum(picture, x, y, padded, taps, total):
    """The products that give one output, a row of the kernel to a line."""
    k = len(KERNEL)
    for row in range(k):
        products = (f"{number(padded[taps[row * k + t]])}·{number(KERNEL[row, t])}" for t in range(k))
        picture.text(x, y + row * 24, " + ".join(products) + (" +" if row < k - 1 else ""), 16, INK, "start")
    picture.text(x, y + k * 24, f"= {number(total)}", 18, GREEN, "start", bold=True)


def draw_scatter(n, padding="valid", stride=2, kernel=KERNEL):
    """Every number of an image of n x n is scattered through a 3x3 kernel, and overlaps add up."""
    x, k = IMAGE[1 : n + 1, 1 : n + 1], len(kernel)
    crop = deconv_crop(n, stride, k, padding, None)
    length = deconv_length(n, stride, k, padding, None)
    covered = max((n - 1) * stride + k, length + crop)

    def scattered(values):
        whole = (1, covered, covered)
        weights = kernel.reshape(1, k, k, 1, 1)
        steps = (1, stride, stride), (1, 1, 1), (0, 0, 0)
        return reference.conv_transpose(_image(values), weights, np.zeros(1), *steps, whole)[0, 0, :, :, 0]

    alt = (
        f"Each of {n}x{n} numbers is multiplied by a kernel of {k}x{k} numbers; the products land {stride} positions "
        f"apart and overlaps add up to an output of {length}x{length} numbers."
    )
    picture = Picture(alt, x.size + 1, 2)
    kernel_x = LEFT + n * CELL + 34
    out_x = kernel_x + k * CELL + 34
    for x_at, words, colour in ((LEFT, "input", BLUE), (kernel_x, "kernel", ORANGE), (out_x, "output", GREEN)):
        picture.text(x_at, TOP - 18, words, 16, colour, "start")
    picture.grid(LEFT, TOP, x)
    picture.grid(kernel_x, TOP, kernel, ORANGE)
    border = ((crop, covered - length - crop),) * 2
    picture.grid(out_x, TOP, [[""] * covered] * covered, GREEN, border)
    sums = [np.zeros((covered, covered))]
    done = np.zeros_like(x)
    for r, c in np.ndindex(x.shape):
        done[r, c] = x[r, c]
        sums.append(scattered(done))
    for frame, (r, c) in enumerate(np.ndindex(x.shape)):
        with picture.during(frame):
            picture.frame(LEFT + c * CELL, TOP + r * CELL, 1, 1)
            for a, b in np.ndindex(k, k):
                picture.cell(out_x + (c * stride + b) * CELL, TOP + (r * stride + a) * CELL, "", ORANGE)
            picture.frame(out_x + c * stride * CELL, TOP + r * stride * CELL, k, k)
            text = f"{number(x[r, c])} times the kernel, added here"
            picture.text(LEFT, TOP + covered * CELL + 24, text, 16, ORANGE, "start")
    _changing(picture, out_x, sums, crop, length)
    return picture


def _changing(picture, x, sums, crop, length):
    """The numbers of the output, each drawn anew where it changes."""
    for r, c in np.ndindex(sums[0].shape):
        inside = crop <= r < crop + length and crop <= c < crop + length
        values = [after[r, c] for after in sums[1:]]
        values.append(values[-1])
        start = 0
        for frame in range(1, len(values) + 1):
            if frame == len(values) or values[frame] != values[start]:
                with picture.during(start, frame):
                    at = x + (c + 0.5) * CELL, TOP + (r + 0.5) * CELL
                    picture.text(*at, number(values[start]), colour=INK if inside else PALE)
                start = frame
