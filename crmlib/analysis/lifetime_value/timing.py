"""The formulas of five purchase-timing models, on arrays: likelihood, P(alive), expectation, silence, simulation.

Time is in any unit, the same for all arguments; x repeat purchases, the last `recency` after the first, seen for t.
`theta` holds the four parameters and may carry further axes: everything broadcasts. Two of the models are limits of
Pareto/NBD: in NBD nobody ever stops (s = 0), in exponential/NBD all stop at one rate (s infinite), worked out as such.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, betaln, gammaln, hyp2f1

Floats = NDArray[np.float64]
Name = Literal["NBD", "exponential/NBD", "BG/NBD", "MBG/NBD", "Pareto/NBD"]
History = tuple[Floats, Floats, Floats]  # x, recency, t
_Shape = tuple[Floats, Floats, Floats, Floats]  # alpha, beta, k, s

BG: Name = "BG/NBD"
MBG: Name = "MBG/NBD"
PARETO: Name = "Pareto/NBD"
NBD: Name = "NBD"
EXPONENTIAL: Name = "exponential/NBD"
NAMES: dict[Name, tuple[str, ...]] = {
    NBD: ("r", "alpha"),  # Ehrenberg 1959
    EXPONENTIAL: ("r", "alpha", "mu"),  # Schmittlein, Morrison and Colombo 1987, with one rate of stopping
    BG: ("r", "alpha", "a", "b"),  # Fader, Hardie and Lee 2005
    MBG: ("r", "alpha", "a", "b"),  # Batislam, Denizel and Filiztekin 2007
    PARETO: ("r", "alpha", "s", "beta"),  # Schmittlein, Morrison and Colombo 1987
}
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_FAR = 36.0  # e^-36 is nothing beside 1
ALL_ALIKE = 1e5  # of Pareto/NBD, the s that stands for rates of stopping that are all one
_LARGE = 100.0  # of a, b: from there on the hypergeometric series over- and underflows


def log_likelihood(name: Name, theta: Floats, x: Floats, recency: Floats, t: Floats) -> Floats:
    """Log-likelihood of one customer of each history."""
    r, alpha = theta[0], theta[1]
    base = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    if name == NBD:
        return np.asarray(base - (r + x) * np.log(alpha + t))
    if name not in (BG, MBG):
        s, beta = theta[2], theta[3]
        return np.asarray(base + s * np.log(beta) + _log_silence((alpha, beta, r + x, s), recency, t)[0])
    a, b, stayed = theta[2], theta[3], _stayed(name, x)
    base = base + betaln(a, b + stayed) - betaln(a, b) - (r + x) * np.log(alpha + t)
    return np.asarray(base + np.logaddexp(0.0, _log_odds_gone(name, theta, x, recency, t)))


def p_alive(name: Name, theta: Floats, x: Floats, recency: Floats, t: Floats) -> Floats:
    """Chance that a customer of each history still buys. In BG/NBD 1 for every one-time buyer, in NBD for all."""
    if name == NBD:
        return np.ones(np.broadcast_shapes(*(np.shape(part) for part in (theta[0], x, recency, t))))
    if name not in (BG, MBG):
        r, alpha, s, beta = theta
        whole, alive = _log_silence((alpha, beta, r + x, s), recency, t)
        return np.asarray(np.exp(np.minimum(alive - whole, 0.0)))
    return np.asarray(1 / (1 + np.exp(np.minimum(_log_odds_gone(name, theta, x, recency, t), 700))))


def expected(name: Name, theta: Floats, x: Floats, recency: Floats, t: Floats, later: float | Floats) -> Floats:
    """Mean number of purchases in the next `later`.

    BG/NBD: equation 10 of Fader, Hardie and Lee 2005 after Euler's transformation, so that no power grows with x;
    MBG/NBD is the same with b + 1. Pareto/NBD: equation 22 of Fader and Hardie's note of 2005.
    """
    alive = p_alive(name, theta, x, recency, t)
    if name == NBD:
        return np.asarray(alive * (theta[0] + x) / (theta[1] + t) * later)
    if name not in (BG, MBG):
        r, alpha, s, beta = theta
        # -expm1(-(s-1) g)/(s-1) has its limit g at s = 1.
        less = np.where(np.abs(s - 1) < 1e-8, 1e-8, s - 1)
        time = (beta + t) * -np.expm1(-less * (np.log(beta + t + later) - np.log(beta + t))) / less
        return np.asarray(alive * (r + x) / (alpha + t) * time)
    r, alpha, a, b = theta
    if name == MBG:
        b = b + 1
    a = np.where(np.abs(a - 1) < 1e-6, 1 + 1e-6, a)
    z = later / (alpha + t + later)
    with np.errstate(all="ignore"):
        whole = 1 - (1 - z) ** (a - 1) * hyp2f1(a + b - 1 - r, a - 1, a + b + x - 1, z)
        found = np.asarray((a + b + x - 1) / (a - 1) * whole)
        most = (r + x) / (alpha + t) * later
        sound = (found >= 0) & (found <= most * (1 + 1e-9)) & (np.maximum(a, b) < _LARGE)
    if not sound.all():
        shape = found.shape
        bad = ~sound
        parts = (np.broadcast_to(part, shape)[bad] for part in (r + x, alpha + t, a, b + x, np.asarray(later, float)))
        found[bad] = _while_lucky(*parts)
    return np.asarray(found * alive)


def _while_lucky(shape: Floats, rate: Floats, a: Floats, b: Floats, later: Floats) -> Floats:
    """The same mean as an integral over the chance p of stopping after a purchase: (1 - (1 + p·later/rate)^-shape)/p.

    By Gauss and Legendre over the quantiles of its Beta: no series that could overflow.
    """
    total = np.zeros(len(shape))
    for node, weight in zip((_NODES + 1) / 2, _WEIGHTS / 2, strict=True):
        p = np.maximum(betaincinv(a, b, node), 1e-12)
        total += weight * -np.expm1(-shape * np.log1p(p * later / rate)) / p
    return total


def p_none(name: Name, theta: Floats, x: Floats, recency: Floats, t: Floats, later: float | Floats) -> Floats:
    """Chance of no purchase in the next `later`, whether gone or only silent."""
    alive = p_alive(name, theta, x, recency, t)
    r, alpha = theta[0], theta[1]
    if name not in (NBD, BG, MBG):
        s, beta = theta[2], theta[3]
        longer = _log_silence((alpha + t, beta + t, r + x, s), 0.0, later)[0]
        silent = np.exp(longer + (r + x) * np.log(alpha + t) + s * np.log(beta + t))
    else:
        silent = np.exp((r + x) * (np.log(alpha + t) - np.log(alpha + t + later)))
    return np.asarray(np.clip(1 - alive * (1 - silent), 0.0, 1.0))


def simulate(
    name: Name, theta: Floats, history: History, later: float, *, n: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """`n` possible numbers of purchases in the next `later` for one customer of each history, shape (histories, n).

    `theta` has shape (4,), or (4, n) for parameters of its own in each column, or (4, histories, 1) in each row.
    """
    x, recency, t = (column[:, None] for column in history)
    if theta.ndim < 3:
        theta = theta[:, None, :] if theta.ndim == 2 else theta[:, None, None]
    shape = (len(x), n)
    alive = rng.random(shape) < p_alive(name, theta, x, recency, t)

    def still(values: Floats) -> Floats:
        return np.broadcast_to(values, shape)[alive]

    # Nothing more is drawn of those who have stopped.
    drawn = np.zeros(shape, np.int64)
    rate = rng.standard_gamma(still(theta[0] + x)) / still(theta[1] + t)
    if name == NBD:
        drawn[alive] = rng.poisson(rate * later)
        return drawn
    if name not in (BG, MBG):
        hazard = rng.standard_gamma(still(theta[2])) / still(theta[3] + t)
        with np.errstate(divide="ignore", over="ignore"):
            active = np.minimum(rng.standard_exponential(len(rate)) / hazard, later)
        drawn[alive] = rng.poisson(rate * active)
        return drawn
    stops = np.clip(rng.beta(still(theta[2]), still(theta[3] + _stayed(name, x))), 1e-12, 1.0)
    # The purchase after which a customer stops still counts.
    drawn[alive] = np.minimum(rng.poisson(rate * later), rng.geometric(stops))
    return drawn


def limits(
    name: Name, theta: Floats, history: History, later: float, *, below: float, above: float
) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """The least numbers of purchases in the next `later` that hold a share of `below`, and of `above`, of what may be.

    For BG/NBD and MBG/NBD, exactly: of a customer who still buys, k purchases or more want a rate that brings them
    (negative binomial) and k − 1 times the luck not to stop (beta), which are independent. `theta` has shape (4, n):
    what is taken is the mean over its columns. Histories in one dimension, as are both answers.
    """
    r, alpha, a, b = theta[..., None]
    x, recency, t = history
    low, high = np.zeros((2, len(x)), np.uint16)
    rows = np.arange(len(x))
    stays, alive = b + _stayed(name, x), p_alive(name, theta[..., None], x, recency, t)
    shape, chance = r + x, later / (alpha + t + later)
    # In logarithms, since of a frequent buyer over a long time no purchase at all is too small a chance to write down.
    exactly = shape * np.log1p(-chance)
    more, luck, k = 1 - np.exp(exactly), np.ones_like(shape), 1
    while len(rows) and k < np.iinfo(np.uint16).max:
        reach = (alive * more * luck).mean(axis=0)
        low[rows] += reach > 1 - below
        high[rows] += reach > 1 - above
        on = reach > 1 - above
        rows = rows[on]
        known = (stays, alive, shape, chance, exactly, more, luck)
        stays, alive, shape, chance, exactly, more, luck = (part[:, on] for part in known)
        exactly = exactly + np.log((shape + k - 1) / k * chance)
        more = more - np.exp(exactly)
        luck = luck * (stays + k - 1) / (a + stays + k - 1)
        k += 1
    return low, high


def _stayed(name: Name, x: Floats) -> Floats:
    """How often a customer could have stopped and did not; MBG/NBD counts the first purchase too."""
    return x + 1 if name == MBG else x


def _log_odds_gone(name: Name, theta: Floats, x: Floats, recency: Floats, t: Floats) -> Floats:
    r, alpha, a, b = theta
    stayed = _stayed(name, x)
    odds = np.log(a) - np.log(b + np.maximum(stayed, 1) - 1) + (r + x) * (np.log(alpha + t) - np.log(alpha + recency))
    return np.where(stayed > 0, odds, -np.inf)


def _log_silence(shape: _Shape, start: float | Floats, end: float | Floats) -> tuple[Floats, Floats]:
    """log of (α+end)^-k (β+end)^-s + s ∫ (α+τ)^-k (β+τ)^-(s+1) dτ from start to end, and of its first term.

    The published form is a difference of two hypergeometric functions that overflow for frequent buyers and cancel
    for recent ones. Here the integral is taken by Gauss and Legendre in y = log((m+τ)/(m+start)), m the smaller
    of α and β, up to where nothing is left: all terms positive, eleven digits in tests.
    """
    alive, small, width, size = _reach(shape, start, end)
    total = np.zeros(size)
    for term, _, _, _ in _nodes(shape, start, small, width):
        total = total + term
    return np.logaddexp(alive, _log_gone(total, width, small, shape, start)), alive


def silence_terms(
    alpha: Floats, beta: Floats, k: Floats, s: Floats, start: Floats, end: Floats
) -> tuple[Floats, Floats, tuple[Floats, Floats, Floats, Floats, Floats]]:
    """The same two, and means over when a customer may have stopped: of log(α+τ), log(β+τ), 1/(α+τ), 1/(β+τ).

    The last is the chance that they have.
    """
    shape = (alpha, beta, k, s)
    alive, small, width, size = _reach(shape, start, end)
    total, log_a, log_b, by_a, by_b = (np.zeros(size) for _ in range(5))
    for term, a, b, tau in _nodes(shape, start, small, width):
        total += term
        log_a += term * a
        log_b += term * b
        by_a += term / (alpha + tau)
        by_b += term / (beta + tau)
    gone = _log_gone(total, width, small, shape, start)
    whole = np.logaddexp(alive, gone)
    some = np.where(total > 0, total, 1.0)
    means = (log_a / some + np.log(alpha + start), log_b / some + np.log(beta + start), by_a / some, by_b / some)
    return whole, alive, (*means, np.exp(gone - whole))


def _reach(shape: _Shape, start: float | Floats, end: float | Floats) -> tuple[Floats, Floats, Floats, tuple[int, ...]]:
    """log of not having stopped; the smaller of α and β; how far y runs, and in which shape of arrays."""
    alpha, beta, k, s = shape
    alive = -k * np.log(alpha + end) - s * np.log(beta + end)
    small = np.minimum(alpha, beta)
    # Beyond (α+τ)/(α+start) = e^(36/k), or (β+τ)/(β+start) = e^(36/s), the integrand is below e^-36 of its start.
    with np.errstate(over="ignore"):
        last = np.minimum(end, (alpha + start) * np.exp(np.minimum(_FAR / k, 700)) - alpha)
        last = np.minimum(last, (beta + start) * np.exp(np.minimum(_FAR / s, 700)) - beta)
    width = np.log((small + last) / (small + start))
    return alive, small, width, np.broadcast_shapes(np.shape(width), np.shape(alive))


def _nodes(
    shape: _Shape, start: float | Floats, small: Floats, width: Floats
) -> Iterator[tuple[Floats, Floats, Floats, Floats]]:
    """The integrand in y at each node times its weight, log((α+τ)/(α+start)), log((β+τ)/(β+start)), τ.

    Relative to the integrand at the start, so that nothing under- or overflows.
    """
    alpha, beta, k, s = shape
    for node, weight in zip((_NODES + 1) / 2, _WEIGHTS / 2, strict=True):
        y = node * width
        tau = (small + start) * np.exp(y) - small
        a, b = np.log((alpha + tau) / (alpha + start)), np.log((beta + tau) / (beta + start))
        yield weight * np.exp(y - k * a - (s + 1) * b), a, b, tau


def _log_gone(total: Floats, width: Floats, small: Floats, shape: _Shape, start: float | Floats) -> Floats:
    alpha, beta, k, s = shape
    with np.errstate(divide="ignore"):
        return np.asarray(
            np.log(s) + np.log(total * width * (small + start))
            - k * np.log(alpha + start) - (s + 1) * np.log(beta + start)
        )  # fmt: skip
