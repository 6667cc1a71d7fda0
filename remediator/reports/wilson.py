"""The lower bound of a share that was seen in a few cases (E. B. Wilson, 1927)."""

from math import sqrt

Z = 1.959964  # the quantile of the normal distribution for a two-sided confidence of 95 %


def lower_bound(successes: int, total: int, z: float = Z) -> float:
    """Return the lower end of Wilson's interval, 0 without any case.

    Unlike the share itself it grows with the number of cases: 1 of 1 is 0.21, 20 of 20 is 0.84.
    """
    if total == 0:
        return 0.0
    share = successes / total
    middle = share + z * z / (2 * total)
    spread = z * sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max((middle - spread) / (1 + z * z / total), 0.0)
