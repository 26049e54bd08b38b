"""DuckDB: egress bytes, packets and flows by interface, destination and ten minutes.

usage: duckdb_group_by.py FOLDER THREADS
"""

import sys

import duckdb

from flow_logs import NAMES, WINDOW_SECS, objects

paths, is_parquet = objects(sys.argv[1])
connection = duckdb.connect(config={"threads": int(sys.argv[2])})
if is_parquet:
    source = connection.read_parquet(paths)
else:
    source = connection.read_csv(paths, sep=" ", header=True, na_values="-")
columns = [c for c in source.columns if c.replace("-", "_") in NAMES]
rows = source.project(", ".join(f'"{c}" AS {c.replace("-", "_")}' for c in columns))
where = "WHERE flow_direction = 'egress'" if "flow-direction" in columns or "flow_direction" in columns else ""
result = connection.sql(
    f"""
    SELECT interface_id, dstaddr, dstport, protocol, "end" // {WINDOW_SECS} AS "window",
           sum(bytes) AS bytes, sum(packets) AS packets, count(*) AS flows
    FROM rows {where} GROUP BY ALL
    """
).arrow()
print(result.num_rows if hasattr(result, "num_rows") else sum(batch.num_rows for batch in result))
