"""What numpy takes for the same searches: the median in milliseconds of matrix times vector and the ten largest.

    numpy_search.py VECTORS COUNT DIMENSION QUERIES

VECTORS holds COUNT + QUERIES rows of DIMENSION little-endian float32, of length 1; the last QUERIES are asked. How many
threads it takes is told by OPENBLAS_NUM_THREADS. `benches/setup` installs what this needs.
"""

import statistics
import sys
import time

import numpy

NEAREST = 10


def main():
    count, dimension, queries = map(int, sys.argv[2:])
    every = numpy.fromfile(sys.argv[1], dtype="<f4").reshape(count + queries, dimension)
    matrix, asked = every[:count].copy(), every[count:]
    taken = []
    for query in asked:
        begun = time.perf_counter()
        products = matrix @ query
        best = numpy.argpartition(products, -NEAREST)[-NEAREST:]
        best = best[numpy.argsort(-products[best])]
        taken.append((time.perf_counter() - begun) * 1e3)
    print(statistics.median(taken))


main()
