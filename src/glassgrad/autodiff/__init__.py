"""The walks over a graph, and the differential operators made of them."""
