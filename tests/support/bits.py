"""Digests of what the package computes, to compare two versions bit by bit.

``python tests/support/bits.py > before``, the same with the other version, and ``diff`` of the two files. The table of
cases runs in both formats and dtypes, forward and backward, and so does one configuration of everything that trains.
For an older version, run ``python - < bits.py`` in the folder of its ``cases.py``, whose imports go with it.
"""

import hashlib
import inspect

import numpy as np
from cases import CASES, FORMATS, layer_class, make_layer, operands, output_shape, run, to_format

from numbaconv import activations, functional, initializers, layers, losses, metrics, optimizers, schedules
from numbaconv.models import Sequential

DTYPES = ("float32", "float64")
# Shapes that Winograd's algorithm takes: (input, taps, filters, settings).
WINOGRAD = [
    ((2, 14, 14, 32), 3, 40, {}),
    ((1, 30, 29, 20), 5, 33, {}),
    ((3, 17, 12, 16), 3, 16, {"padding": "valid", "dilation_rate": 2}),
    ((1, 64, 64, 48), 3, 64, {"padding": "valid"}),
]
# Input, window and strides.
POOLING = [((2, 9, 3), 4, 2), ((2, 8, 7, 19), (2, 3), None), ((1, 60, 50, 16), 3, 2), ((2, 5, 6, 4, 3), 2, 1)]
OPTIMIZERS = ("SGD", "RMSprop", "Adam", "AdamW", "Adamax", "Nadam", "Adagrad", "Adadelta", "Lion")
# Neither activations nor classes that compute anything by themselves.
OTHERS = {"get", "serialize", "gradient", "of_input", "Initializer", "Loss", "Metric"}
ARGUMENTS = {"IoU": {"num_classes": 10, "target_class_ids": [1, 3]}, "MeanIoU": {"num_classes": 10}}


def show(label, *arrays):
    """One line: a digest of arrays with their shapes and dtypes."""
    digest = hashlib.sha256()
    for array in map(np.asarray, arrays):
        digest.update(f"{array.shape}{array.dtype}".encode() + array.tobytes())
    print(digest.hexdigest()[:32], label)


def gradients(case, arrays, grad_out, data_format):
    """Gradients of the input and of the weights of a case."""
    x, *weights = arrays
    window = {**case.settings, "data_format": data_format}
    if not case.has_weights:
        return [getattr(functional, f"{case.operation}_grad")(grad_out, **window)]
    if case.operation == "separable_conv":
        return functional.separable_conv_grad(x, *weights[:2], grad_out, **window)
    groups = {"groups": case.groups} if case.groups > 1 else {}
    return [
        getattr(functional, f"{case.operation}_input_grad")(grad_out, weights[0], x.shape, **window),
        getattr(functional, f"{case.operation}_weight_grad")(x, grad_out, case.kernel_size, **window, **groups),
    ]


def show_cases():
    """The table, through functions and through layers."""
    for case in CASES:
        grad = np.random.default_rng(1).standard_normal(output_shape(case), dtype=np.float32)
        for dtype in DTYPES:
            for data_format in FORMATS:
                arrays = operands(case, dtype)
                arrays[0] = to_format(arrays[0], data_format)
                grad_out = to_format(grad.astype(dtype), data_format)
                label = f"{case.name} {dtype} {data_format}"
                show(label, run(case, arrays, data_format), *gradients(case, arrays, grad_out, data_format))
                # Such layers of one dimension have no data_format.
                fixed_format = case.rank == 1 and not case.has_weights
                if layer_class(case) is None or (fixed_format and data_format == "channels_first"):
                    continue
                relu = {"activation": "relu"} if case.has_weights else {}
                layer = make_layer(case, data_format, dtype=dtype, **relu)
                out = layer.forward(arrays[0])
                show(f"{label} layer", layer(arrays[0]), out, layer.backward(grad_out), *layer.gradients)


def show_winograd():
    """Convolutions with either algorithm, of plain inputs and of those for which Winograd's sums would not do."""
    rng = np.random.default_rng(2)
    for shape, taps, filters, settings in WINOGRAD:
        x, weights = rng.standard_normal(shape), rng.standard_normal((taps, taps, shape[-1], filters))
        large = x.copy()
        large[0, 3, 4, 5], large[-1, 0, 0, 0] = 1e6, np.inf
        for dtype in DTYPES:
            for data_format in FORMATS:
                for algorithm in ("auto", "winograd"):
                    window = {"padding": "same", **settings, "data_format": data_format, "algorithm": algorithm}
                    kernel = weights.astype(dtype)
                    inputs = [to_format(a.astype(dtype), data_format) for a in (x, large)]
                    outs = [functional.conv(a, kernel, **window) for a in inputs]
                    grad = functional.conv_input_grad(np.ones_like(outs[0]), kernel, inputs[0].shape, **window)
                    show(f"winograd {shape} {taps} {settings} {dtype} {data_format} {algorithm}", *outs, grad)


def show_pooling():
    """Both kinds of pooling and their gradients."""
    for shape, size, strides in POOLING:
        x = np.random.default_rng(3).standard_normal(shape)
        for dtype in DTYPES:
            for data_format in FORMATS:
                a = to_format(x.astype(dtype), data_format)
                for kind in ("max", "average"):
                    settings = {"strides": strides, "padding": "same", "data_format": data_format}
                    out = getattr(functional, f"{kind}_pool")(a, size, **settings)
                    arguments = (a, out) if kind == "max" else (out, a.shape)
                    grad = getattr(functional, f"{kind}_pool_grad")(*arguments, size, **settings)
                    show(f"{kind} pool {shape} {dtype} {data_format}", out, grad)


def model():
    """A small network with every kind of layer that keeps weights or draws numbers."""
    stack = [
        layers.Conv2D(16, 3, padding="same", activation="relu", input_shape=(16, 16, 3)),
        layers.BatchNormalization(),
        layers.SeparableConv2D(24, 3, padding="same", activation="gelu"),
        layers.MaxPooling2D(2),
        layers.DepthwiseConv2D(3, padding="same"),
        layers.Conv2DTranspose(8, 2, strides=2, activation="tanh"),
        layers.UpSampling2D(2, interpolation="bilinear"),
        layers.Cropping2D(1),
        layers.ZeroPadding2D(1),
        layers.AveragePooling2D(2),
        layers.Dropout(0.2, seed=7),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ]
    network = Sequential(stack, name="bits")
    rng = np.random.default_rng(4)

    def drawn(w):
        return rng.uniform(0.1, 0.3, w.shape) * rng.choice([-1, 1], w.shape) if w.ndim > 1 else np.abs(w) + 0.1

    network.set_weights([drawn(w) for w in network.get_weights()])
    return network


def show_training():
    """Some steps of the network with each optimizer."""
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((24, 16, 16, 3)).astype("float32"), rng.integers(10, size=24)
    for name in OPTIMIZERS:
        network = model()
        rate = schedules.CosineDecay(0.01, 100)
        network.compile(getattr(optimizers, name)(rate), "sparse_categorical_crossentropy", ["accuracy"])
        history = network.fit(x, y, epochs=2, batch_size=8, verbose=0, seed=1, validation_split=0.25)
        show(f"training {name}", *history.history.values(), *network.get_weights(), network.predict(x))


def listed(module):
    """The names of a module that compute something, aliases too, and what they name."""
    return [(name, getattr(module, name)) for name in module.__all__ if name not in OTHERS]


def show_components():
    """Everything that networks are made of and trained with besides layers and optimizers."""
    rng = np.random.default_rng(6)
    z = rng.standard_normal((20, 10)).astype("float32")
    shares = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    labels = rng.integers(10, size=20)
    truth = np.eye(10, dtype="float32")[labels]
    for name, function in listed(activations):
        show(f"activation {name}", function(z), layers.Activation(name).forward(z))
    for name, cls in listed(losses):
        show(f"loss {name}", *cls().value_and_gradient(labels if "Sparse" in name else truth, shares))
    for name, cls in listed(metrics):
        metric = cls(**ARGUMENTS.get(name, {}))
        by_label = "Sparse" in name or name in ARGUMENTS
        metric.update_state(labels if by_label else truth, shares.argmax(-1) if name in ARGUMENTS else shares)
        show(f"metric {name}", metric.result())
    for name, cls in listed(initializers):
        seed = {"seed": 1} if "seed" in inspect.signature(cls).parameters else {}
        show(f"initializer {name}", cls(**seed)((6, 6), "float32"))


if __name__ == "__main__":
    show_cases()
    show_winograd()
    show_pooling()
    show_training()
    show_components()
