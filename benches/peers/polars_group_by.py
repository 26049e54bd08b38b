"""Polars' streaming engine: egress bytes, packets and flows by interface, destination and ten minutes.

usage: polars_group_by.py FOLDER THREADS
"""

import os
import sys

os.environ["POLARS_MAX_THREADS"] = sys.argv[2]

import polars
from polars import col

from flow_logs import NAMES, WINDOW_SECS, objects

paths, is_parquet = objects(sys.argv[1])
if is_parquet:
    rows = polars.scan_parquet(paths)
else:
    rows = polars.scan_csv(paths, separator=" ", null_values="-", infer_schema_length=10000)
    rows = rows.rename(lambda name: name.replace("-", "_"))
known = [name for name in NAMES if name in rows.collect_schema().names()]
rows = rows.select(known)
if "flow_direction" in known:
    rows = rows.filter(col("flow_direction") == "egress")
result = (
    rows.group_by("interface_id", "dstaddr", "dstport", "protocol", (col("end") // WINDOW_SECS).alias("window"))
    .agg(col("bytes").sum(), col("packets").sum(), polars.len().alias("flows"))
    .collect(engine="streaming")
)
print(result.height)
