"""Runs a command and prints its wall time and peak memory as one line of JSON.

Peak memory is the kernel's ru_maxrss of the largest waited-for child. The command's own output goes nowhere, its errors to stderr.
"""

import json
import resource
import subprocess
import sys
import time

started = time.perf_counter()
# Exit status 1 of callout means that --fail-on was met, which is no failure.
status = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=False).returncode
seconds = time.perf_counter() - started
if status not in (0, 1):
    sys.exit(f"exit status {status}")
peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps({"seconds": seconds, "peak_bytes": peak_kib * 1024}))
