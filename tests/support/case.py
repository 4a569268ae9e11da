"""A case: a call of one operation, written as one line of a table."""

from dataclasses import dataclass, field
from typing import Any

from numbaconv import shapes


@dataclass(frozen=True)
class Case:
    """A call of one operation.

    ``filters`` counts output channels; a depthwise convolution has ``multiplier`` ones per input channel instead, and a
    separable one has both. ``settings`` are the remaining arguments of the function in `numbaconv.functional`, and
    ``groups`` those of a convolution, which the function infers.
    """

    name: str
    operation: str
    shape: tuple[int, ...]
    kernel_size: tuple[int, ...] = ()
    filters: int = 2
    multiplier: int = 1
    settings: dict[str, Any] = field(default_factory=dict)
    groups: int = 1

    @property
    def rank(self) -> int:
        return len(self.shape) - 2

    @property
    def channels(self) -> int:
        return self.shape[-1]

    @property
    def has_weights(self) -> bool:
        return bool(self.kernel_size)

    def setting(self, name: str, fill: int = 1) -> tuple[int, ...]:
        """A window argument as one integer per axis."""
        return shapes.normalize_tuple(self.settings.get(name, fill), self.rank, name, allow_zero=True)


def row(operation: str, name: str, shape: tuple[int, ...], *args: Any, **settings: Any) -> Case:
    """Write a case as one line: shape, then kernel size and filters where there are weights, then settings."""
    sizes = {key: settings.pop(key) for key in ("multiplier", "groups") if key in settings}
    return Case(f"{operation}{len(shape) - 2}d {name}", operation, shape, *args, **sizes, settings=settings)
