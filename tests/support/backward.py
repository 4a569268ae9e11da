"""The backward pass of a case."""

from numbaconv import functional


def gradients(case, arrays, grad_out, data_format="channels_last"):
    """The gradients of a case's input and weights, by the names that `reference_gradients` gives them."""
    x, *weights = arrays
    window = {**case.settings, "data_format": data_format}
    if not case.has_weights:
        return {"x": getattr(functional, f"{case.operation}_grad")(grad_out, **window)}
    if case.operation == "separable_conv":
        found = functional.separable_conv_grad(x, *weights[:2], grad_out, **window)
        return dict(zip(("x", "depthwise", "pointwise"), found, strict=True))
    groups = {"groups": case.groups} if case.operation == "conv" else {}
    name = "depthwise" if case.operation == "depthwise_conv" else "kernel"
    return {
        "x": getattr(functional, f"{case.operation}_input_grad")(grad_out, weights[0], x.shape, **window),
        name: getattr(functional, f"{case.operation}_weight_grad")(x, grad_out, case.kernel_size, **window, **groups),
    }
