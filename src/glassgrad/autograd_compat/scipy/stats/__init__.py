"""SciPy's distributions: densities and the like that can be differentiated, and SciPy's own for the rest."""

from . import beta, chi2, dirichlet, gamma, multivariate_normal, norm, poisson, t
