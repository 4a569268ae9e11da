"""Sums of products: einsum, of one array or of two, and matmul; and the way back through them."""

from math import prod

import numpy as np

from ...layers.any_rank import Shape
from .architecture import Place
from .array_operations import ArrayOperation, OfSeveral, multiplied
from .given import Given, Handler, Made


def contracted(subscripts: str, count: int, name: str) -> OfSeveral:
    """``einsum(subscripts, ...)`` of so many arrays, whose first axis is the batch."""
    given, arrow, result = subscripts.replace(" ", "").partition("->")
    letters = given.split(",")
    if not arrow:
        result = "".join(sorted(one for one in set(given) - {","} if given.count(one) == 1))
    every = [*letters, result]
    batch = result[:1]
    if (
        len(letters) != count
        or count > 2
        or not all(one.isalpha() and len(set(one)) == len(one) and one[0] == batch for one in every)
        or not set(result) <= set(given)
    ):
        raise ValueError(
            "einsum must be of one array or two, each axis with a letter of its own, the batch's first everywhere, "
            f"got {subscripts!r} for {count}"
        )

    def shape(shapes: list[Shape]) -> Shape:
        sizes: dict[str, int | None] = {}
        for own, one in zip(letters, shapes, strict=True):
            if len(own) != len(one):
                raise ValueError(f"einsum must have a letter for each axis, got {own!r} for shape {one}")
            for letter, n in zip(own, one, strict=True):
                if None not in (n, sizes.setdefault(letter, n)) and n != sizes[letter]:
                    raise ValueError(f"axes of the same letter must be equal, got {subscripts!r} for {shapes}")
                sizes[letter] = n if sizes[letter] is None else sizes[letter]
        return tuple(sizes[letter] for letter in result)

    def compute(xs: list[np.ndarray]) -> np.ndarray:
        shape([x.shape for x in xs])
        return _of(xs, letters, result)

    def back(xs: list[np.ndarray], out: np.ndarray, grad_out: np.ndarray) -> list[np.ndarray]:
        grads = []
        for i, (own, x) in enumerate(zip(letters, xs, strict=True)):
            others, known = xs[:i] + xs[i + 1 :], letters[:i] + letters[i + 1 :]
            # What was summed up alone has the same gradient everywhere.
            wanted = "".join(one for one in own if one in result or any(one in other for other in known))
            grad = _of([grad_out, *others], [result, *known], wanted)
            sizes = [n if letter in wanted else 1 for letter, n in zip(own, x.shape, strict=True)]
            grads.append(np.broadcast_to(grad.reshape(sizes), x.shape))
        return grads

    return OfSeveral(compute, shape, back, name=name)


def by_matrix(matrix: np.ndarray, behind: bool, name: str) -> ArrayOperation:
    """The products of the matrices in an array with one that is always the same, before them or behind."""

    def shape(given: Shape) -> Shape:
        *outer, n, m = given if len(given) > 2 else (*given[:1], None, *given[1:]) if behind else (None, None, None)
        rows, columns = matrix.shape
        met, own = (m, rows) if behind else (n, columns)
        if len(given) < 2 + (not behind) or met not in (None, own):
            raise ValueError(f"matrices must fit together, got {given} and a matrix of shape {matrix.shape}")
        return (*given[:-1], columns) if behind else (*outer, rows, m)

    def product(x: np.ndarray, by: np.ndarray) -> np.ndarray:
        fitting = by.astype(x.dtype)
        return x @ fitting if behind else fitting @ x

    back = lambda x, out, grad_out: product(grad_out, matrix.T)  # noqa: E731
    return ArrayOperation(lambda x: product(x, matrix), shape, back, name=name)


def _of(xs: list[np.ndarray], letters: list[str], result: str) -> np.ndarray:
    """The sums of products of one array or of two, these as products of matrices."""
    if len(xs) == 1:
        found: np.ndarray = np.einsum(f"{letters[0]}->{result}", xs[0])
        return found
    xs, letters = list(xs), list(letters)
    for i, own in enumerate(letters):
        kept = "".join(one for one in own if one in result or one in letters[1 - i])
        xs[i], letters[i] = np.einsum(f"{own}->{kept}", xs[i]), kept
    left, right = letters
    both = [one for one in left if one in right and one in result]
    inner = [one for one in left if one in right and one not in result]
    rows, columns = ([one for one in a if one not in b] for a, b in ((left, right), (right, left)))
    sizes = {letter: n for own, x in zip(letters, xs, strict=True) for letter, n in zip(own, x.shape, strict=True)}

    def matrix(x: np.ndarray, own: str, *axes: list[str]) -> np.ndarray:
        moved = x.transpose([own.index(one) for one in (*both, *axes[0], *axes[1])])
        return moved.reshape(*(sizes[one] for one in both), *(prod(sizes[one] for one in part) for part in axes))

    product = matrix(xs[0], left, rows, inner) @ matrix(xs[1], right, inner, columns)
    given = [*both, *rows, *columns]
    return product.reshape([sizes[one] for one in given]).transpose([given.index(one) for one in result])


def _matmul(plain: str, name: str, given: Given) -> Made:
    a, b = given.take(0, "x1", "a"), given.take(1, "x2", "b")
    if isinstance(a, Place) and isinstance(b, Place):
        return multiplied(name), [a, b]
    constant = np.asarray(b if isinstance(a, Place) else a, np.float64)
    if constant.ndim != 2:
        raise ValueError(f"matmul must be of what layers give, or of that and a matrix, got shape {constant.shape}")
    return by_matrix(constant, isinstance(a, Place), name), a if isinstance(a, Place) else b


def _einsum(plain: str, name: str, given: Given) -> Made:
    subscripts, operands = given.settings.pop("subscripts", None), given.all()
    if not isinstance(subscripts, str) or not all(isinstance(one, Place) for one in operands):
        raise ValueError("einsum must be called with what layers give")
    return contracted(subscripts, len(operands), name), list(operands)


HANDLERS: dict[str, Handler] = {"einsum": _einsum, "matmul": _matmul}
