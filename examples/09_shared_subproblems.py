"""Why backpropagation is dynamic programming: paths double with each layer, edges and work only grow by a few.

Each layer makes two numbers from the two before it, so 2ᵈ paths lead from the input to the end. The derivative is a sum
over all of them, and a recursion that follows the chain rule literally walks them all. Backpropagation computes the
derivative at each node once and hands it on along each edge.
"""

import time

import glassgrad as gg
from glassgrad.graph.node import reachable


def network(x, depth):
    u, v = x * 1.0, x * 0.5
    for _ in range(depth):
        u, v = gg.numpy.sin(u + v), gg.numpy.cos(u - v)
    return u + v


def count(output, x):
    """Paths from x to the output, and edges a derivative travels."""
    paths, edges = {x: 1}, 0
    for node in reachable([output]):
        came = [i for i in node.inputs if i.tracked]
        edges += len(came)
        if node is not x:
            paths[node] = sum(paths[i] for i in came)
    return paths[output], edges


class Naive:
    """The chain rule as a recursion that forgets what it has already found."""

    def __init__(self):
        self.products = 0

    def derivative(self, node, x):
        if node is x:
            return 1.0
        total = 0.0
        for partial, below in zip(node.op.partials, node.inputs, strict=True):
            if below.tracked:
                local = partial(node.value, *(i.value for i in node.inputs)) if callable(partial) else partial
                total += local * self.derivative(below, x)
                self.products += 1
        return total


def operations(output, x):
    """Nodes the backward pass adds to the graph when its own computation is recorded."""
    gradient = output.backward(create_graph=True)[x]
    return len(set(reachable([gradient])) - set(reachable([output])))


def main():
    print("                         operations done            milliseconds")
    print("depth   paths  edges   recursion  backprop.    recursion  backprop.")
    for depth in (1, 2, 4, 8, 12, 14):
        x = gg.variable(1.5)
        output = network(x, depth)
        paths, edges = count(output, x)
        naive, start = Naive(), time.perf_counter()
        by_recursion = naive.derivative(output, x)
        middle = time.perf_counter()
        by_engine = output.backward()[x]
        end = time.perf_counter()
        assert abs(by_recursion - by_engine) < 1e-12
        done = f"{naive.products:11d} {operations(output, x):10d}"
        print(f"{depth:5d} {paths:7d} {edges:6d} {done}  {1e3 * (middle - start):11.2f} {1e3 * (end - middle):10.2f}")
    print("\nthe same derivative each time: one walks every path, the other every edge, once")


if __name__ == "__main__":
    main()
