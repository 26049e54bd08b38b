"""What the peers share: which objects there are, and of which form."""

import pathlib
import sys


def objects(folder):
    """Paths of all flow log objects below a folder, and whether they are Parquet."""
    paths = sorted(str(p) for p in pathlib.Path(folder).rglob("*.log.*"))
    if not paths:
        sys.exit(f"no flow log object below {folder}")
    return paths, paths[0].endswith(".parquet")


# Text objects name fields with hyphens, Parquet with underscores.
NAMES = ["interface_id", "dstaddr", "dstport", "protocol", "bytes", "packets", "end", "flow_direction"]
WINDOW_SECS = 600
