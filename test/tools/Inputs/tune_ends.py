"""A search that reaches its budget, one that is interrupted, and one that is killed."""

import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import sys
import time

model, folder = sys.argv[1], pathlib.Path(sys.argv[2])
cache = folder / "cache"
os.environ["HALCYON_CACHE"] = str(cache)


def start(budget, name):
    return subprocess.Popen(["halcyon", "tune", model, "--budget", budget, "--store", folder / f"{name}.db",
                             "-o", folder / f"{name}.sched"], stderr=subprocess.PIPE, stdout=subprocess.PIPE,
                            text=True, start_new_session=True)


def measured(name):
    try:
        with sqlite3.connect(f"file:{folder / name}.db?mode=ro", uri=True) as store:
            return store.execute("select count(*) from measurements").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def wait_for(process, name, count):
    while process.poll() is None and measured(name) < count:
        time.sleep(0.05)
    assert process.poll() is None, process.communicate()


# Half a minute over is a busy machine; a search without an end takes an hour.
begin = time.monotonic()
process = start("6s", "budget")
process.communicate()
assert process.returncode == 0 and time.monotonic() - begin < 36
print("budget kept")

process = start("1h", "interrupted")
wait_for(process, "interrupted", 3)
os.killpg(process.pid, signal.SIGINT)  # as a terminal does
out, err = process.communicate(timeout=120)
assert process.returncode == 0, err
assert "target" in (folder / "interrupted.sched").read_text(), out
print("Ctrl-C: a schedule was written")

process = start("1h", "killed")
wait_for(process, "killed", 3)
process.kill()
process.communicate()
assert not (folder / "killed.sched").exists()
print(f"killed: {measured('killed')} measurements are there")

before = measured("killed")
process = start("3s", "killed")
out, err = process.communicate()
known = int(re.search(r"(\d+) candidates known", err).group(1))
assert process.returncode == 0 and known >= min(before, 3), err
print(f"resumed with {known} known")

left = [str(path) for path in [*folder.iterdir(), *cache.iterdir()]
        if ".tmp" in path.name or path.name.startswith("tune-")]
assert not left, left
print("nothing is left")
