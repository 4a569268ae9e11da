"""Words that arguments may be, and arguments that all layers take, for editors and type checkers.

What a word means is checked where it is used. A checker knows the library's own words; others are refused at run time.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

if TYPE_CHECKING:
    # Not in Python 3.10's own typing.
    from typing_extensions import Unpack as Unpack
else:
    # Annotations that speak of it are strings, which nobody reads at run time.
    Unpack = None

Padding: TypeAlias = Literal["valid", "same"]
# Along one axis.
AxisPadding: TypeAlias = Literal["valid", "same", "causal"]
DataFormat: TypeAlias = Literal["channels_last", "channels_first"]
Algorithm: TypeAlias = Literal["auto", "direct", "winograd"]
Interpolation: TypeAlias = Literal["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"]
ActivationName: TypeAlias = Literal[
    "celu",
    "elu",
    "exponential",
    "gelu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
]
# A name, a function, or a name with settings as files have it.
Activation: TypeAlias = ActivationName | Callable[..., Any] | dict[str, Any] | None


class Common(TypedDict, total=False):
    """What every layer takes by keyword; `numbaconv.layers.Layer` says what for."""

    input_shape: Sequence[int | None] | None
    batch_input_shape: Sequence[int | None] | None
    batch_size: int | None
    dtype: Any
    name: str | None
    trainable: bool
    weights: Sequence[Any] | None
    # Keras's, where they ask for nothing.
    autocast: bool
    dynamic: bool


class Penalized(Common, total=False):
    """The same, and what some layers take by position, too."""

    activity_regularizer: Any
