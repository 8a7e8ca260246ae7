"""Containers as vectors, fixed points, graphs, and the optimisers of autograd's examples."""

from .flatten import flatten
from .tracers import const_graph
