"""Solutions of equations as differentiable functions: roots, minima, fixed points, linear systems, and ODEs."""
