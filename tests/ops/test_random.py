"""Random numbers: Random123's known answers, a second implementation in Python integers, SciPy's tests of fit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import random
from glassgrad.errors import DtypeError, RandomnessError, ShapeError
from glassgrad.ops import random as draw

stats = pytest.importorskip("scipy.stats")

M32 = 0xFFFFFFFF
# Random123, tests/kat_vectors, the lines "philox4x32 10": counter, key, result.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text: str) -> tuple[int, ...]:
    return tuple(int(w, 16) for w in text.split())


def philox_in_integers(counter: tuple[int, ...], key: tuple[int, ...]) -> tuple[int, ...]:
    """The paper's round function in Python's integers: high and low halves of two products, ten times."""
    left, right = list(counter), list(key)
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * left[0], 2**32)
        high1, low1 = divmod(0xCD9E8D57 * left[2], 2**32)
        left = [high1 ^ left[1] ^ right[0], low1, high0 ^ left[3] ^ right[1], low0]
        right = [(right[0] + 0x9E3779B9) % 2**32, (right[1] + 0xBB67AE85) % 2**32]
    return tuple(left)


def block(seed: int, index: int, stream: int = 0) -> tuple[int, ...]:
    return philox_in_integers((index & M32, index >> 32, 0, stream), (seed & M32, seed >> 32))


def uniforms(seed: int, count: int) -> list[float]:
    """What float64 uniforms must be: the upper 53 bits of each pair of words."""
    pairs = [block(seed, i // 2)[2 * (i % 2) : 2 * (i % 2) + 2] for i in range(count)]
    return [((high << 32 | low) >> 11) / 2**53 for low, high in pairs]


class TestBits:
    @pytest.mark.parametrize(("counter", "key", "result"), KNOWN)
    def test_known_answers(self, counter: str, key: str, result: str) -> None:
        assert tuple(int(w) for w in draw.philox(words(counter), words(key))) == words(result)
        assert philox_in_integers(words(counter), words(key)) == words(result)

    def test_many_counters_at_once_equal_integers(self) -> None:
        rng = np.random.default_rng(0)
        counters, key = rng.integers(0, 2**32, (4, 50)), tuple(int(k) for k in rng.integers(0, 2**32, 2))
        got = np.stack(draw.philox(tuple(counters), key))
        for i in range(50):
            assert tuple(got[:, i].tolist()) == philox_in_integers(tuple(counters[:, i].tolist()), key)

    def test_the_stream_starts_with_the_known_answer(self) -> None:
        bits = draw.bits(random.key(0), (4,), 32)
        assert bits.tolist() == list(words(KNOWN[0][2]))
        assert draw.bits(random.key(0), (1,), 64).tolist() == [0xE169C58D6627E8D5]
        assert float(random.uniform(rng=0)) == (0xE169C58D6627E8D5 >> 11) / 2**53

    @pytest.mark.parametrize("seed", [0, 1, 2**32 + 5, 2**64 - 1])
    def test_layout(self, seed: int) -> None:
        assert draw.bits(random.key(seed), (10,), 32).tolist() == [block(seed, i // 4)[i % 4] for i in range(10)]
        assert random.uniform(size=7, rng=seed).tolist() == uniforms(seed, 7)

    def test_across_chunks(self) -> None:
        count = 2 * draw.CHUNK + 100  # blocks of two
        values = random.uniform(size=2 * count, rng=9).value
        for i in (2 * draw.CHUNK - 1, 2 * draw.CHUNK, 4 * draw.CHUNK + 1):
            low, high = block(9, i // 2)[2 * (i % 2) : 2 * (i % 2) + 2]
            assert values[i] == ((high << 32 | low) >> 11) / 2**53

    def test_a_batch_of_keys_is_each_key(self) -> None:
        keys = random.split(3, 4)
        together = draw.bits(keys, (5,), 64).value
        assert together.shape == (4, 5)
        for key, row in zip(keys, together, strict=True):
            assert draw.bits(key, (5,), 64).tolist() == row.tolist()


class TestKeys:
    def test_key_is_the_seeds_two_halves(self) -> None:
        assert random.key(2**32 * 3 + 5).tolist() == [5, 3]
        assert random.key(np.int64(7)).tolist() == [7, 0]

    def test_seed_and_key_are_the_same(self) -> None:
        for rng in (12, random.key(12), random.key(12).value, np.int64(12), np.array(12)):
            assert random.normal(size=3, rng=rng).tolist() == random.normal(size=3, rng=12).tolist()

    def test_split_follows_its_stream_and_begins_alike(self) -> None:
        flat = [block(5, i // 2, 1)[2 * (i % 2) : 2 * (i % 2) + 2] for i in range(5)]
        assert [tuple(k) for k in random.split(5, 5).tolist()] == flat
        assert random.split(5, 2).tolist() == random.split(5, 5).tolist()[:2]
        assert random.split(5, 0).shape == (0, 2)

    def test_fold_in(self) -> None:
        assert tuple(random.fold_in(5, 9).tolist()) == block(5, 9, 2)[:2]
        assert tuple(random.fold_in(5, -1).tolist()) == block(5, 2**64 - 1, 2)[:2]
        assert random.fold_in(5, np.arange(3)).tolist() == [random.fold_in(5, i).tolist() for i in range(3)]

    def test_derived_keys_differ(self) -> None:
        keys = [*random.split(0, 50).tolist(), *random.fold_in(0, np.arange(50)).tolist(), random.key(0).tolist()]
        assert len({tuple(k) for k in keys}) == 101


FLOATS = {
    "uniform": lambda **kw: random.uniform(**kw),
    "normal": lambda **kw: random.normal(**kw),
    "exponential": lambda **kw: random.exponential(**kw),
    "gumbel": lambda **kw: random.gumbel(**kw),
}


class TestStream:
    @pytest.mark.parametrize("name", FLOATS)
    @pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
    def test_shape_only_folds_the_stream(self, name: str, dtype: Any) -> None:
        long = FLOATS[name](size=(4, 6), rng=1, dtype=dtype)
        assert long.dtype == dtype
        assert long.ravel().tolist() == FLOATS[name](size=24, rng=1, dtype=dtype).tolist()
        short = FLOATS[name](size=5, rng=1, dtype=dtype).value
        np.testing.assert_allclose(short, long.value.ravel()[:5], rtol=4 * np.finfo(dtype).eps)

    @pytest.mark.parametrize("name", FLOATS)
    def test_zero_size_and_scalar(self, name: str) -> None:
        assert FLOATS[name](size=(0, 3), rng=0).shape == (0, 3)
        assert FLOATS[name](rng=0).shape == ()
        assert isinstance(FLOATS[name](rng=0), gg.Array)

    def test_normal_is_box_muller_of_the_uniforms(self) -> None:
        u = uniforms(3, 6)
        radii = [math.sqrt(-2 * math.log1p(-u[i])) for i in (0, 2, 4)]
        expected = [r * f(2 * math.pi * v) for r, v in zip(radii, u[1::2], strict=True) for f in (math.cos, math.sin)]
        np.testing.assert_allclose(random.normal(size=6, rng=3).value, expected, rtol=1e-14)

    def test_exponential_gumbel_and_integers_of_the_bits(self) -> None:
        u = uniforms(3, 4)
        np.testing.assert_allclose(random.exponential(size=4, rng=3).value, [-math.log1p(-v) for v in u], rtol=1e-14)
        halves = [(math.floor(v * 2**52) + 0.5) / 2**52 for v in u]
        expected = [-math.log(-math.log(v)) for v in halves]
        np.testing.assert_allclose(random.gumbel(size=4, rng=3).value, expected, rtol=1e-13)
        whole = [block(3, i // 2)[2 * (i % 2)] | block(3, i // 2)[2 * (i % 2) + 1] << 32 for i in range(4)]
        assert random.integers(10, 17, size=4, rng=3).tolist() == [10 + w % 7 for w in whole]

    def test_eager_equals_traced(self) -> None:
        def program(key: Any) -> Any:
            a, b = random.split(key)[0], random.fold_in(key, 3)
            p = [0.1, 0.2, 0.7]
            return (
                random.uniform(-1.0, 2.0, size=(3, 2), rng=a, dtype=np.float32),
                random.normal(size=5, rng=b),
                random.exponential(size=5, rng=b),
                random.gumbel(size=5, rng=b),
                random.bernoulli(0.3, size=9, rng=a),
                random.integers(-5, 5, size=9, rng=a),
                random.permutation(6, rng=a),
                random.choice(3, size=6, p=p, rng=b),
                random.choice(3, size=2, replace=False, p=p, rng=b),
                random.categorical(np.log(p), size=6, rng=b),
            )

        traced = gg.trace(program, random.key(0))
        for seed in (0, 77):
            key = random.key(seed)
            for now, later in zip(program(key), traced(key), strict=True):
                assert now.dtype == later.dtype
                np.testing.assert_array_equal(now.value, later.value)

    @pytest.mark.parametrize("seed", [3, 2**40 + 1])
    def test_a_traced_seed(self, seed: int) -> None:
        traced = gg.trace(lambda seed: random.normal(size=4, rng=seed), np.int64(0))
        np.testing.assert_array_equal(traced(np.int64(seed)), random.normal(size=4, rng=seed).value)

    def test_one_key_is_one_node_while_tracing(self) -> None:
        twice = gg.trace(lambda key: (random.uniform(size=3, rng=key), random.uniform(size=3, rng=key)), random.key(0))
        assert twice.outputs[0] is twice.outputs[1]


class TestDistributions:
    """Kolmogorov and Smirnov's test on fixed seeds: a wrong distribution gives p far below these bounds."""

    @pytest.mark.parametrize("seed", [0, 1, 2])
    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    @pytest.mark.parametrize(
        ("sample", "reference"),
        [
            (lambda **kw: random.uniform(-2.0, 3.0, **kw), stats.uniform(-2, 5)),
            (lambda **kw: random.normal(1.0, 2.0, **kw), stats.norm(1, 2)),
            (lambda **kw: random.exponential(0.5, **kw), stats.expon(scale=0.5)),
            (lambda **kw: random.gumbel(1.0, 3.0, **kw), stats.gumbel_r(1, 3)),
        ],
        ids=["uniform", "normal", "exponential", "gumbel"],
    )
    def test_continuous(self, sample: Any, reference: Any, dtype: Any, seed: int) -> None:
        x = sample(size=20_000, rng=seed, dtype=dtype).value.astype(float)
        assert stats.kstest(x, reference.cdf).pvalue > 1e-3

    def test_neighbours_are_independent(self) -> None:
        x = random.normal(size=(20_000, 2), rng=4).value
        assert abs(np.corrcoef(x.T)[0, 1]) < 0.03
        assert abs(np.corrcoef(x[:-1, 1], x[1:, 0])[0, 1]) < 0.03
        assert abs(np.corrcoef(*(random.normal(size=20_000, rng=k).value for k in random.split(0)))[0, 1]) < 0.03

    def test_discrete(self) -> None:
        counts = np.bincount(random.integers(0, 7, size=14_000, rng=0).value, minlength=7)
        assert stats.chisquare(counts).pvalue > 1e-3
        p = np.array([0.5, 0.0, 0.2, 0.3])
        for drawn in (
            random.choice(4, size=10_000, p=p, rng=1),
            random.categorical(np.log(np.maximum(p, 1e-300)), size=10_000, rng=1),
        ):
            counts = np.bincount(drawn.value, minlength=4)
            assert counts[1] == 0
            assert stats.chisquare(counts[p > 0], 10_000 * p[p > 0]).pvalue > 1e-3
        assert abs(random.bernoulli(0.3, size=20_000, rng=0).mean().item() - 0.3) < 0.015

    def test_every_order_is_equally_likely(self) -> None:
        keys = random.split(0, 3000)
        orders = [tuple(random.permutation(3, rng=k).tolist()) for k in keys]
        counts = [orders.count(o) for o in sorted(set(orders))]
        assert len(counts) == 6
        assert stats.chisquare(counts).pvalue > 1e-3

    def test_drawing_without_replacement_follows_the_weights(self) -> None:
        # P(first 0, second 1) = 0.5 · 0.3 / (1 - 0.5), and so on for the six ordered pairs
        p = np.array([0.5, 0.3, 0.2])
        pairs = [(i, j) for i in range(3) for j in range(3) if i != j]
        drawn = [tuple(random.choice(3, 2, replace=False, p=p, rng=k).tolist()) for k in random.split(1, 3000)]
        expected = [3000 * p[i] * p[j] / (1 - p[i]) for i, j in pairs]
        assert stats.chisquare([drawn.count(pair) for pair in pairs], expected).pvalue > 1e-3

    def test_float32_gumbel_and_normal_are_finite(self) -> None:
        assert np.isfinite(random.gumbel(size=2_000_000, rng=0, dtype=np.float32).value).all()
        assert np.isfinite(random.normal(size=2_000_000, rng=0, dtype=np.float32).value).all()


class TestIntegersAndChoice:
    def test_ranges(self) -> None:
        assert set(random.integers(3, size=200, rng=0).tolist()) == {0, 1, 2}
        assert set(random.integers(-1, 1, size=200, rng=0, endpoint=True).tolist()) == {-1, 0, 1}
        assert random.integers(0, 200, size=9, rng=0, dtype=np.uint8).dtype == np.uint8
        wide = random.integers(-(2**63), 2**63 - 1, size=1000, rng=0).value
        assert wide.min() < -(2**62) and wide.max() > 2**62

    def test_bounds_broadcast(self) -> None:
        y = random.integers(np.array([0, 100]), np.array([5, 105]), size=(50, 2), rng=0).value
        assert ((y >= [0, 100]) & (y < [5, 105])).all()

    def test_permutation_of_an_array(self) -> None:
        x = np.arange(12.0).reshape(3, 4)
        order = random.permutation(4, rng=5).value
        np.testing.assert_array_equal(random.permutation(x, rng=5, axis=1).value, x[:, order])
        assert sorted(order.tolist()) == [0, 1, 2, 3]

    def test_choice_from_rows(self) -> None:
        x = np.arange(12.0).reshape(4, 3)
        places = random.choice(4, size=5, rng=2).value
        np.testing.assert_array_equal(random.choice(x, size=5, rng=2).value, x[places])
        assert sorted(random.choice(4, 4, replace=False, rng=2).tolist()) == [0, 1, 2, 3]
        assert random.choice(4, rng=2).shape == ()

    def test_categorical_along_an_axis(self) -> None:
        logits = np.log(np.array([[1.0, 1e-12], [1e-12, 1.0]]))
        assert random.categorical(logits, rng=0).tolist() == [0, 1]
        assert random.categorical(logits, rng=0, size=(3, 2)).tolist() == [[0, 1]] * 3
        assert random.categorical(logits.T[:, :1], rng=0, axis=0).tolist() == [0]


class TestGradients:
    def test_through_the_parameters(self) -> None:
        n = 50
        noise = random.normal(size=n, rng=0).value
        squares = gg.grad(lambda m, s: (random.normal(m, s, size=n, rng=0) ** 2).sum(), argnums=(0, 1))
        by_loc, by_scale = squares(0.5, 2.0)
        np.testing.assert_allclose(by_loc, np.sum(2 * (0.5 + 2 * noise)), rtol=1e-12)
        np.testing.assert_allclose(by_scale, np.sum(2 * (0.5 + 2 * noise) * noise), rtol=1e-12)

    def test_each_parameter_of_each_distribution(self) -> None:
        low, high = np.zeros(3), np.ones(3)
        gg.check_grads(lambda a, b: random.uniform(a, b, size=(4, 3), rng=0), (low, high))
        gg.check_grads(lambda a: random.exponential(a, size=4, rng=0), (2.0,))
        gg.check_grads(lambda a, b: random.gumbel(a, b, rng=0), (low, high))

    def test_float32_parameters_keep_the_dtype_asked_for(self) -> None:
        scale = gg.variable(np.ones(3, np.float32))
        assert random.normal(0.0, scale, rng=0).dtype == np.float64
        drawn = random.normal(0.0, scale, rng=0, dtype=np.float32)
        assert drawn.dtype == np.float32
        assert drawn.sum().backward()[scale].dtype == np.float32

    def test_through_what_is_permuted(self) -> None:
        weights = np.arange(4.0)
        order = random.permutation(4, rng=0).value
        g = gg.grad(lambda x: (random.permutation(x, rng=0) * weights).sum())(np.ones(4))
        np.testing.assert_array_equal(g[order], weights)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: random.normal(size=3), RandomnessError, "no seed or key was given"),
        (lambda: random.normal(size=3, rng=1.5), RandomnessError, "got 1.5 .float., expected an int seed"),
        (lambda: random.normal(size=3, rng=True), RandomnessError, "expected an int seed"),
        (lambda: random.normal(size=3, rng="a"), RandomnessError, "expected an int seed"),
        (lambda: random.normal(size=3, rng=-1), RandomnessError, "seed -1, expected 0 to"),
        (lambda: random.key(2**64), RandomnessError, "expected 0 to 2..64 - 1"),
        (lambda: random.normal(size=3, rng=np.random.default_rng(0)), RandomnessError, "NumPy's generator"),
        (lambda: random.normal(size=3, rng=random.split(0)), RandomnessError, r"shape \(2, 2\), expected one key"),
        (lambda: random.normal(size=-3, rng=0), ShapeError, "size=-3"),
        (lambda: random.normal(size=(2, -3), rng=0), ShapeError, "none negative"),
        (lambda: random.normal(size=2.0, rng=0), ShapeError, "size=2.0"),
        (lambda: random.normal(np.zeros(3), size=2, rng=0), ShapeError, "do not broadcast to size"),
        (lambda: random.normal(np.zeros(3), np.ones(2), rng=0), ShapeError, "parameters do not broadcast"),
        (lambda: random.normal(0.0, -1.0, rng=0), RandomnessError, "scale=-1.0"),
        (lambda: random.normal(size=2, rng=0, dtype=int), DtypeError, "dtype int64"),
        (lambda: random.normal(1j, size=2, rng=0), DtypeError, "complex"),
        (lambda: random.bernoulli(1.5, rng=0), RandomnessError, "p=1.5"),
        (lambda: random.integers(3, 3, rng=0), RandomnessError, "expected low < high"),
        (lambda: random.integers(2.5, rng=0), DtypeError, "expected integers"),
        (lambda: random.integers(300, rng=0, dtype=np.uint8), DtypeError, "does not fit uint8"),
        (lambda: random.integers(3, rng=0, dtype=float), DtypeError, "expected an integer dtype"),
        (lambda: random.permutation(-1, rng=0), ShapeError, "got -1"),
        (lambda: random.permutation(1.5, rng=0), ShapeError, "expected an int or an array"),
        (lambda: random.choice(0, 2, rng=0), ShapeError, "nothing to choose from"),
        (lambda: random.choice(3, 4, replace=False, rng=0), ShapeError, "without replacement"),
        (lambda: random.choice(3, 2, replace=False, p=[1, 0, 0], rng=0), ShapeError, "of 1 possible"),
        (lambda: random.choice(3, p=[0.5, 0.5], rng=0), ShapeError, r"p of shape \(2,\)"),
        (lambda: random.choice(2, p=[0.5, 0.6], rng=0), RandomnessError, "does not sum to 1"),
        (lambda: random.choice(2, p=[1.5, -0.5], rng=0), RandomnessError, "no negative"),
        (lambda: random.categorical(0.0, rng=0), ShapeError, "at least one outcome"),
        (lambda: random.fold_in(0, 1.5), RandomnessError, "expected an integer"),
        (lambda: random.split(0, -1), ShapeError, "n=-1"),
    ],
)
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
