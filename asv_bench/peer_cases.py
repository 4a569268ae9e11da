"""What `peers.py` compares: layers with shapes from networks."""

from typing import Any, NamedTuple

import numpy as np

from numbaconv import layers as nl


class Case(NamedTuple):
    """A layer and the shape of its input, without reference to any values."""

    group: str
    name: str
    layer: nl.Layer
    shape: tuple[int, ...]


def cases() -> list[Case]:
    """All cases, in the order of the table; layers are made anew at every call."""
    same: dict[str, Any] = {"padding": "same"}
    table: dict[str, list[tuple[str, nl.Layer, tuple[int, ...]]]] = {
        "3x3, stride 1": [
            ("56²·64→64", nl.Conv2D(64, 3, **same), (1, 56, 56, 64)),
            ("56²·64→64, batch 8", nl.Conv2D(64, 3, **same), (8, 56, 56, 64)),
            ("28²·128→128", nl.Conv2D(128, 3, **same), (1, 28, 28, 128)),
            ("14²·256→256", nl.Conv2D(256, 3, **same), (1, 14, 14, 256)),
            ("32²·32→32, batch 32", nl.Conv2D(32, 3, **same), (32, 32, 32, 32)),
            ("31x37·45→77", nl.Conv2D(77, 3, **same), (1, 31, 37, 45)),
            ("56²·64→64, channels first", nl.Conv2D(64, 3, data_format="channels_first", **same), (1, 64, 56, 56)),
        ],
        "other dense": [
            ("3x3, 7²·512→512", nl.Conv2D(512, 3, **same), (1, 7, 7, 512)),
            ("7x7/2, 224²·3→64", nl.Conv2D(64, 7, 2, **same), (1, 224, 224, 3)),
            ("3x3, 224²·3→32", nl.Conv2D(32, 3, **same), (1, 224, 224, 3)),
            ("3x3/2, 56²·64→128", nl.Conv2D(128, 3, 2, **same), (1, 56, 56, 64)),
            ("3x3 dilated 2, 28²·128→128", nl.Conv2D(128, 3, dilation_rate=2, **same), (1, 28, 28, 128)),
            ("5x5, 28²·64→64", nl.Conv2D(64, 5, **same), (1, 28, 28, 64)),
            ("1x1, 56²·64→256", nl.Conv2D(256, 1), (1, 56, 56, 64)),
            ("1x1, 14²·1024→256", nl.Conv2D(256, 1), (1, 14, 14, 1024)),
            ("1x1/2, 56²·256→512", nl.Conv2D(512, 1, 2), (1, 56, 56, 256)),
        ],
        "with relu": [
            ("3x3, 56²·64→64", nl.Conv2D(64, 3, activation="relu", **same), (1, 56, 56, 64)),
            ("3x3, 224²·3→32", nl.Conv2D(32, 3, activation="relu", **same), (1, 224, 224, 3)),
            ("1x1, 56²·64→256", nl.Conv2D(256, 1, activation="relu"), (1, 56, 56, 64)),
        ],
        "1D and 3D": [
            ("1D 80/4, 16000·1→64", nl.Conv1D(64, 80, 4), (1, 16000, 1)),
            ("1D causal dilated 8, 2000·64→64", nl.Conv1D(64, 3, padding="causal", dilation_rate=8), (1, 2000, 64)),
            ("1D 5, 1000·256→256", nl.Conv1D(256, 5, **same), (1, 1000, 256)),
            ("3D 3³, 16·112²·3→32", nl.Conv3D(32, 3, **same), (1, 16, 112, 112, 3)),
            ("3D 3³, 8·28²·32→64", nl.Conv3D(64, 3, **same), (1, 8, 28, 28, 32)),
        ],
        "depthwise": [
            ("3x3, 112²·32", nl.DepthwiseConv2D(3, **same), (1, 112, 112, 32)),
            ("3x3/2, 56²·128", nl.DepthwiseConv2D(3, 2, **same), (1, 56, 56, 128)),
            ("5x5, 14²·512", nl.DepthwiseConv2D(5, **same), (1, 14, 14, 512)),
            ("1D 9, 2000·64", nl.DepthwiseConv1D(9, **same), (1, 2000, 64)),
            ("separable 1D 9, 2000·64→64", nl.SeparableConv1D(64, 9, **same), (1, 2000, 64)),
            ("separable 3x3, 56²·128→128", nl.SeparableConv2D(128, 3, **same), (1, 56, 56, 128)),
        ],
        "transposed": [
            ("1D 4·2, 2000·64→32", nl.Conv1DTranspose(32, 4, 2, **same), (1, 2000, 64)),
            ("4x4·2, 28²·64→32", nl.Conv2DTranspose(32, 4, 2, **same), (1, 28, 28, 64)),
            ("2x2·2, 56²·128→64", nl.Conv2DTranspose(64, 2, 2, **same), (1, 56, 56, 128)),
            ("3x3, 56²·64→64", nl.Conv2DTranspose(64, 3, **same), (1, 56, 56, 64)),
            ("3D 3³·2, 8·14²·32→16", nl.Conv3DTranspose(16, 3, 2, **same), (1, 8, 14, 14, 32)),
        ],
        "in groups": [
            ("3x3, 32 groups, 56²·128→128", nl.Conv2D(128, 3, groups=32, **same), (1, 56, 56, 128)),
            ("3x3, 32 groups, 28²·256→256", nl.Conv2D(256, 3, groups=32, **same), (1, 28, 28, 256)),
            ("3x3, 32 groups, 14²·512→512", nl.Conv2D(512, 3, groups=32, **same), (1, 14, 14, 512)),
            ("3x3, 32 groups, 7²·1024→1024", nl.Conv2D(1024, 3, groups=32, **same), (1, 7, 7, 1024)),
            ("1x1, 3 groups, 28²·240→240", nl.Conv2D(240, 1, groups=3), (1, 28, 28, 240)),
        ],
        "moving values": [
            ("nearest ·2, 56²·64", nl.UpSampling2D(2), (1, 56, 56, 64)),
            ("bilinear ·2, 56²·64", nl.UpSampling2D(2, interpolation="bilinear"), (1, 56, 56, 64)),
            ("zero padding 1, 112²·64", nl.ZeroPadding2D(1), (1, 112, 112, 64)),
            ("cropping 8, 112²·64", nl.Cropping2D(8), (1, 112, 112, 64)),
        ],
        "smallest": [("3x3, 8²·8→8", nl.Conv2D(8, 3, **same), (1, 8, 8, 8))],
    }
    return [Case(group, *row) for group, rows in table.items() for row in rows]


def training_cases() -> list[Case]:
    """Layers and batches for forward and backward together."""
    same: dict[str, Any] = {"padding": "same"}
    table = [
        ("3x3, 56²·64→64, batch 8", nl.Conv2D(64, 3, **same), (8, 56, 56, 64)),
        ("3x3, 28²·128→128, batch 16", nl.Conv2D(128, 3, **same), (16, 28, 28, 128)),
        ("3x3, 14²·256→256, batch 32", nl.Conv2D(256, 3, **same), (32, 14, 14, 256)),
        ("3x3, 7²·512→512, batch 32", nl.Conv2D(512, 3, **same), (32, 7, 7, 512)),
        ("3x3, 32²·32→32, batch 32", nl.Conv2D(32, 3, **same), (32, 32, 32, 32)),
        ("3x3/2, 56²·64→128, batch 8", nl.Conv2D(128, 3, 2, **same), (8, 56, 56, 64)),
        ("1x1, 56²·64→256, batch 8", nl.Conv2D(256, 1), (8, 56, 56, 64)),
        ("7x7/2, 112²·3→64, batch 8", nl.Conv2D(64, 7, 2, **same), (8, 112, 112, 3)),
        ("3x3 dilated 2, 28²·128→128, batch 8", nl.Conv2D(128, 3, dilation_rate=2, **same), (8, 28, 28, 128)),
        ("5x5, 28²·64→64, batch 16", nl.Conv2D(64, 5, **same), (16, 28, 28, 64)),
        ("3x3, 32 groups, 56²·128→128, batch 8", nl.Conv2D(128, 3, groups=32, **same), (8, 56, 56, 128)),
        ("depthwise 3x3, 56²·64, batch 8", nl.DepthwiseConv2D(3, **same), (8, 56, 56, 64)),
        (
            "1D causal dilated 8, 2000·64→64, batch 8",
            nl.Conv1D(64, 3, dilation_rate=8, padding="causal"),
            (8, 2000, 64),
        ),
        ("3D 3³, 8·28²·32→64, batch 8", nl.Conv3D(64, 3, **same), (8, 8, 28, 28, 32)),
        ("transposed 4x4·2, 28²·64→32, batch 8", nl.Conv2DTranspose(32, 4, 2, **same), (8, 28, 28, 64)),
    ]
    return [Case("forward and backward", *row) for row in table]


def dense_flops(case: Case) -> int | None:
    """Additions and multiplications of the direct sum of a dense convolution; None for all else."""
    if not isinstance(case.layer, nl.Conv1D | nl.Conv2D | nl.Conv3D):
        return None
    *taps, channels, _ = case.layer.kernel.shape
    return 2 * int(np.prod(case.layer.compute_output_shape(case.shape))) * int(np.prod(taps)) * channels
