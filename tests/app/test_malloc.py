"""What glibc's allocator does once it has been told; in a process of its own, since that cannot be undone."""

import ctypes
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, threading
from pathlib import Path
from app.malloc import give_memory_back

def mapped_kb():
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0])

give_memory_back()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]

all_there = threading.Barrier(8)
before = mapped_kb()
def use_much():
    all_there.wait()
    large = [libc.malloc(4_000_000) for _ in range(8)]
    for block in large:
        libc.memset(block, 1, 4_000_000)
    libc.malloc(1000)  # stays, above what is freed
    for block in large:
        libc.free(block)
    all_there.wait()
threads = [threading.Thread(target=use_much) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(mapped_kb() - before, flush=True)
libc.fdopen.restype = ctypes.c_void_p
libc.malloc_info(0, ctypes.c_void_p(libc.fdopen(1, b"w")))
libc.fflush(None)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="not glibc")
def test_large_blocks_are_given_back_and_threads_share_arenas() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=600)
    kept_kb, _, arenas = ran.stdout.partition("\n")
    assert int(kept_kb) < 16_000  # of 256 MB
    assert 1 <= arenas.count("<heap nr=") <= 2
    fast_bins = {line for line in arenas.splitlines() if 'type="fast"' in line}
    assert fast_bins == {'<total type="fast" count="0" size="0"/>'}


HOLES = """
import ctypes
from pathlib import Path
from app.malloc import give_holes_back

def resident_kb():
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0])

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
blocks = [libc.malloc(65536) for _ in range(1000)]
for block in blocks:
    libc.memset(block, 1, 65536)
full = resident_kb()
for block in blocks[:-1]:  # the last one stays, at the end
    libc.free(block)
with_holes = resident_kb()
give_holes_back()
print(full - with_holes, with_holes - resident_kb())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="not glibc")
def test_holes_are_given_back() -> None:
    ran = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True, timeout=600)
    by_itself_kb, then_kb = (int(word) for word in ran.stdout.split())
    assert by_itself_kb < 10_000
    assert then_kb > 50_000  # of 64 MB
