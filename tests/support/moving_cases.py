"""Cases of cropping, padding and upsampling."""

from functools import partial

from case import row

crop = partial(row, "crop")
zero_pad = partial(row, "zero_pad")
upsample = partial(row, "upsample")

CASES = [
    crop("front only", (2, 7, 3), cropping=(3, 0)),
    crop("nothing", (2, 5, 3), cropping=0),
    crop("each side smoke", (2, 7, 8, 3), cropping=((1, 2), (3, 0))),
    crop("all but one position", (2, 4, 5, 3), cropping=((3, 0), (2, 2))),
    crop("empty batch", (0, 4, 5, 3), cropping=1),
    crop("each side", (2, 5, 4, 6, 3), cropping=((0, 2), (1, 1), (3, 0))),
    crop("rows of many values", (2, 6, 40, 17), cropping=((1, 2), (3, 0))),
    crop("many short rows", (2, 60, 9, 1), cropping=((1, 2), (2, 3))),
    crop("lines of a table that end early", (40, 5, 9, 1), cropping=((1, 1), (2, 4))),
    zero_pad("front only", (2, 4, 3), padding=(2, 0)),
    zero_pad("nothing", (2, 4, 3), padding=0),
    zero_pad("each side smoke", (2, 3, 4, 3), padding=((1, 2), (3, 0))),
    zero_pad("one position", (2, 1, 1, 3), padding=(4, 5)),
    zero_pad("empty batch", (0, 3, 4, 3), padding=2),
    zero_pad("each side", (2, 3, 2, 4, 3), padding=((0, 2), (1, 1), (3, 0))),
    zero_pad("rows of many values", (2, 3, 40, 17), padding=((1, 2), (3, 0))),
    zero_pad("runs of some lines", (2, 3, 40, 1), padding=((1, 2), (3, 1))),
    zero_pad("many images of few values", (90, 2, 3, 1), padding=((2, 0), (5, 7))),
    zero_pad("planes cut into blocks", (1, 130, 140, 1), padding=((1, 2), (3, 1))),
    upsample("by three", (2, 4, 3), size=3),
    upsample("nearest smoke", (2, 3, 4, 3), size=(2, 3)),
    upsample("by one", (2, 3, 4, 3), size=1),
    upsample("bilinear smoke", (2, 3, 4, 3), size=(2, 3), interpolation="bilinear"),
    upsample("bilinear by four and one", (2, 5, 3, 2), size=(4, 1), interpolation="bilinear"),
    upsample("bilinear, one row", (2, 1, 4, 3), size=(3, 2), interpolation="bilinear"),
    upsample("bilinear, one position", (2, 1, 1, 3), size=5, interpolation="bilinear"),
    upsample("bicubic smoke", (2, 3, 4, 3), size=(2, 3), interpolation="bicubic"),
    upsample("bicubic by seven and one", (2, 9, 5, 2), size=(7, 1), interpolation="bicubic"),
    upsample("bicubic, one position", (2, 1, 1, 3), size=5, interpolation="bicubic"),
    upsample("lanczos3", (2, 7, 5, 3), size=(3, 2), interpolation="lanczos3"),
    upsample("lanczos5", (1, 6, 13, 2), size=(2, 3), interpolation="lanczos5"),
    upsample("empty batch", (0, 3, 4, 3), size=2),
    upsample("short rows joined", (1, 509, 1), size=3),
    upsample("bilinear, short rows and many planes", (2, 4, 5, 40), size=(2, 3), interpolation="bilinear"),
    upsample("bilinear, many columns", (1, 2, 700, 3), size=(1, 3), interpolation="bilinear"),
    upsample("nearest", (2, 2, 3, 4, 3), size=(3, 1, 2)),
]
