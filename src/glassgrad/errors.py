"""One class per kind of mistake. Each message says what is wrong, what was got, what was expected, and the fix."""

from __future__ import annotations


class GlassgradError(Exception):
    """Base of every error raised on purpose by Glassgrad."""


class ShapeError(GlassgradError, ValueError):
    """Shapes that do not fit together.

    Cause: ``x (32, 784) @ w (512, 784)``. Fix: transpose or reshape one operand.
    """


class DtypeError(GlassgradError, TypeError):
    """A dtype that the operation does not take.

    Cause: ``gg.grad(f)(3)``, an integer cannot be varied continuously. Fix: ``gg.grad(f)(3.0)``.
    """


class NotScalarError(GlassgradError, TypeError):
    """A gradient was asked of a function whose value is not one number.

    Cause: ``gg.grad(lambda x: x * 2)(vector)``. Fix: sum or average the result, or use ``gg.vjp``.
    """


class TracedValueError(GlassgradError, TypeError):
    """A value that is being differentiated or traced was about to leave the graph.

    Cause: ``float(x)``, ``math.exp(x)`` or ``numpy.asarray(x)`` under ``grad``: the result would silently carry no
    gradient. Fix: use ``glassgrad.numpy``, or ``x.item()`` and ``x.value`` where no gradient is wanted.
    """


class NonDifferentiableError(GlassgradError, TypeError):
    """A derivative was asked of something that has none.

    Cause: the result of ``argmax`` or of a comparison is returned from a function under ``grad``.
    """


class RuleError(GlassgradError, TypeError):
    """A derivative rule broke its contract: number, shape or dtype of what it returned."""


class MissingRuleError(RuleError, NotImplementedError):
    """A derivative was asked of a function whose rule was to be given by hand, and was not."""


class UnsupportedError(GlassgradError, TypeError):
    """A NumPy feature that cannot work on a Glassgrad array; the message names the way out."""


class MeetingTracesError(UnsupportedError):
    """Values of two programs being traced meet in one operation. Fix: pass the outer one as an argument."""


class TreeError(GlassgradError, TypeError):
    """Two nested containers that should have the same structure do not."""


class GradientCheckError(GlassgradError, AssertionError):
    """A derivative rule disagrees with a numerical derivative; the report is in the message."""


class RandomnessError(GlassgradError, TypeError, ValueError):
    """Random numbers asked for without a seed or key, or from a distribution that does not exist.

    Cause: ``gg.random.normal(size=3)``. Fix: ``gg.random.normal(size=3, rng=0)``.
    """


class DataError(GlassgradError, ValueError):
    """A data file or table that cannot be used as it is; the message names the file, line and column."""


class ModelFileError(GlassgradError, ValueError):
    """A saved model that is damaged, foreign or of another version."""


class DivergedError(GlassgradError, ArithmeticError):
    """Training left the finite numbers: the loss or a parameter became NaN or infinite.

    Cause: a learning rate that is too high, or extreme values in the data. Fix: lower it; standardise the data.
    """


class ConvergenceError(GlassgradError, ArithmeticError):
    """An iteration ended without a solution: of an equation, a minimum, a linear system or a differential equation.

    Cause: a start too far away, a tolerance below rounding, an ill-conditioned or singular system. The message names
    the residual, the number of iterations and what to change.
    """


class NonFiniteError(GlassgradError, FloatingPointError):
    """A NaN or inf was made under ``gg.trace_nan()`` or ``gg.jit(f, nan="raise")``; the message says by which op.

    Attributes
    ----------
    origin : ``glassgrad.autodiff.mechanism.NanOrigin``, or None where a replay did not find it
    """

    def __init__(self, message: str, origin: object = None) -> None:
        super().__init__(message)
        self.origin = origin


class MemoryBudgetError(GlassgradError, ValueError):
    """No program works in as little memory as ``gg.jit(f, memory=...)`` allows. Fix: allow the ``minimum``.

    Attributes
    ----------
    minimum : the smallest budget possible, in bytes
    """

    def __init__(self, message: str, minimum: int = 0) -> None:
        super().__init__(message)
        self.minimum = minimum


class MissingExtraError(GlassgradError, ImportError):
    """An optional library is not installed. Fix: ``pip install 'glassgrad[extra]'``."""


class DiagnosisWarning(UserWarning):
    """Training was found to have something wrong with it; the text says what, where, and what to do."""


class IndependentOutputWarning(UserWarning):
    """The function's value does not depend on what it is differentiated by, so the gradient is zero."""


class DensePatternWarning(UserWarning):
    """A sparse derivative was asked for whose elements can nearly all differ from zero. Fix: ``sparse=False``."""


class UnsolvedWarning(UserWarning):
    """A solver of the user's returned a point that hardly solves the equation, so that derivatives there are wrong."""


class CompiledDifferenceError(GlassgradError, AssertionError):
    """``jit(..., check=True)`` found that compiled code does not compute what the function does: a mistake of ours."""


class RetraceWarning(UserWarning):
    """A jitted function is compiled again and again, because its arguments change shape, dtype or structure.

    Fix: keep shapes the same (pad the last batch), pass numbers as arrays, make the jit outside of loops.
    """
