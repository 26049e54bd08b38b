"""Prints the number of flow records below a folder."""

import gzip
import sys

import polars

from flow_logs import objects

paths, is_parquet = objects(sys.argv[1])
if is_parquet:
    print(polars.scan_parquet(paths).select(polars.len()).collect().item())
else:
    # One header line an object.
    print(sum(sum(1 for _ in gzip.open(path)) - 1 for path in paths))
