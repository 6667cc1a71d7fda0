"""After `tune_malloc`, freed large blocks return to the system at once."""

import subprocess
import sys

PROGRAM = """
import sys
from runbookd.service.memory import tune_malloc

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

tune_malloc()
bytes(1_000_000)  # once freed, such a block makes glibc keep all smaller ones
before = resident()
blocks, kept = [], []
for _ in range(30):
    blocks.append(b"x" * 900_000)
    kept.append(b"x" * 90_000)
held = resident()
del blocks
print(held - before, resident() - before)
"""


def test_freed_large_blocks_return_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=120)
    held, left = map(int, done.stdout.split())
    assert held > 28_000_000
    assert left < 10_000_000
