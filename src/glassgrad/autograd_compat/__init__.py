"""The names of HIPS/autograd, so that code written for it changes its imports and nothing else.

``from glassgrad.autograd_compat import grad`` for ``from autograd import grad``, ``import
glassgrad.autograd_compat.numpy as np`` for ``import autograd.numpy as np``. What is computed is Glassgrad's; what
differs, the argument called ``argnum``, the order of results, the sign of a complex gradient's imaginary part, is as
in autograd (D. Maclaurin, D. Duvenaud and R. P. Adams, "Autograd: effortless gradients in NumPy", 2015).

>>> import glassgrad.autograd_compat.numpy as np
>>> from glassgrad.autograd_compat import grad
>>> float(grad(np.tanh)(0.0))
1.0
"""

from .builtins import dict, isinstance, list, tuple, type
from .differential_operators import (
    checkpoint,
    deriv,
    elementwise_grad,
    grad,
    grad_and_aux,
    grad_named,
    hessian,
    hessian_tensor_product,
    hessian_vector_product,
    holomorphic_grad,
    jacobian,
    make_ggnvp,
    make_hvp,
    make_jvp,
    make_jvp_reversemode,
    make_vjp,
    multigrad_dict,
    tensor_jacobian_product,
    value_and_grad,
    vector_jacobian_product,
)
from .rules import primitive
