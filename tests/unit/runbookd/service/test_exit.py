"""A process that has just used the object storage library ends with the code it was told to."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, sys
import obstore
from obstore.store import LocalStore
from runbookd.service import exit_process

async def look():
    await obstore.list_with_delimiter_async(LocalStore(sys.argv[1]))

asyncio.run(look())
print("written")
exit_process(3)
"""


@pytest.mark.parametrize("attempt", range(20))
def test_the_code_is_ours_and_nothing_written_is_lost(tmp_path: Path, attempt: int) -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "written\n", "")
