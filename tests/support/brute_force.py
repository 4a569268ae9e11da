"""Windows and scattered positions counted one by one."""


def brute_padding(n, k, padding, s, d):
    """Zeros on each side, for "same" by TensorFlow's rule as it is worded for a remainder n % s."""
    reach = (k - 1) * d
    if padding == "same":
        total = max(reach + 1 - (n % s or s), 0)
        return total // 2, (total + 1) // 2
    return {"valid": (0, 0), "causal": (reach, 0), "full": (reach, reach)}[padding]


def window_starts(n, k, padding, s, d):
    before, after = brute_padding(n, k, padding, s, d)
    return [start for start in range(-before, n + after, s) if start + (k - 1) * d < n + after]


def scattered(n, k, s, d):
    """Number of positions from the first to the last that n values reach through a transposed kernel."""
    return max(i * s + t * d for i in range(n) for t in range(k)) + 1
