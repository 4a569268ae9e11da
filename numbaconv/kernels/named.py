"""Kernels by name, for calls: modules of loops, and of all that these consist of, are imported when one is compiled."""

from ..machine.compiler import named

_HERE = __package__
adam = named(f"{_HERE}.adam", "adam")
conv = named(f"{_HERE}.conv", "conv")
conv_at = named(f"{_HERE}.conv", "conv_at")
depthwise_conv = named(f"{_HERE}.depthwise", "depthwise_conv")
group_conv = named(f"{_HERE}.depthwise", "group_conv")
conv_few = named(f"{_HERE}.few", "conv_few")
conv_inside = named(f"{_HERE}.nonfinite", "conv_inside")
multiply_add = named(f"{_HERE}.normalize", "multiply_add")
normalize_batch = named(f"{_HERE}.normalize", "normalize_batch")
normalize_back = named(f"{_HERE}.normalize", "normalize_back")
depthwise_inside = named(f"{_HERE}.nonfinite", "depthwise_inside")
conv_positions = named(f"{_HERE}.positions", "conv_positions")
separable_conv = named(f"{_HERE}.separable", "separable_conv")
scatter = named(f"{_HERE}.scatter", "scatter")
transpose = named(f"{_HERE}.planes", "transpose")
scale_rows = named(f"{_HERE}.scaling", "scale_rows")
scale_planes = named(f"{_HERE}.scaling", "scale_planes")
scale_lines = named(f"{_HERE}.scaling", "scale_lines")
add_up = named(f"{_HERE}.product", "add_up")
add_up_few = named(f"{_HERE}.product", "add_up_few")
dots = named(f"{_HERE}.product", "dots")
outer = named(f"{_HERE}.product", "outer")
conv_winograd = named(f"{_HERE}.winograd.products", "conv_winograd")
spread_patches = named(f"{_HERE}.winograd.products", "spread_patches")
