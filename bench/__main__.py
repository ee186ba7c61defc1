"""All benchmarks, one after the other; each can be run alone with its own options."""

from __future__ import annotations

import subprocess
import sys

RUNS = (
    ("bench.learned_quotes",),
    ("bench.overhead",),
    ("bench.replay", "--seconds", "600"),
)

for words in RUNS:
    print(f"\n==> python -m {' '.join(words)}", flush=True)
    subprocess.run([sys.executable, "-m", *words], check=True)
