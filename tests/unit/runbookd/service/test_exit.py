"""A process that has just used the object storage library exits with the given code."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, sys
import obstore
from obstore.store import LocalStore
from runbookd.service import exit_process

async def list_folder():
    await obstore.list_with_delimiter_async(LocalStore(sys.argv[1]))

asyncio.run(list_folder())
print("written")
exit_process(3)
"""


@pytest.mark.parametrize("attempt", range(20))
def test_exit_keeps_the_code_and_flushes_the_output(tmp_path: Path, attempt: int) -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "written\n", "")
