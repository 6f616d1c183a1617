"""What the machine is and can do at most, and the least time that a network takes by that."""

import json
import pathlib
import platform
import re
import subprocess


def cpu_name():
    found = re.search(r"^model name\s*:\s*(.+)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return found.group(1).strip() if found else platform.machine()


def measure(program, cores):
    """Runs halcyon-bench-machine: rates by name and count of threads. Without it there are none."""
    if not pathlib.Path(program).exists():
        print(f"there is no {program}: the machine's limits stay unknown")
        return {"cpu": cpu_name(), "cores": len(cores), "caches": {}, "shared": {}, "rates": {}}
    done = subprocess.run([program, "--benchmark_format=json", "--benchmark_repetitions=9"], check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    rates = {}
    for run in found["benchmarks"]:
        if run["run_type"] == "iteration":
            # A limit is the most that was seen: what else runs here only takes away.
            of_name = rates.setdefault(re.sub(r"/min_time:.*", "", run["name"]), {})
            count = str(run["threads"])
            of_name[count] = max(of_name.get(count, 0), run.get("GFLOP/s", run.get("GB/s")))
    caches = {f"L{cache['level']}": cache["size"] for cache in found["context"]["caches"]
              if cache["type"] != "Instruction"}
    shared = {f"L{cache['level']}": cache["num_sharing"] for cache in found["context"]["caches"]
              if cache["type"] != "Instruction"}
    return {"cpu": cpu_name(), "cores": len(cores), "caches": caches, "shared": shared, "rates": rates}


def rate(machine, name, threads):
    """At so many threads, else at the nearest lower count in proportion."""
    found = machine["rates"].get(name, {})
    if not found:
        return 0
    known = max(int(count) for count in found if int(count) <= threads)
    return found[str(known)] * threads / known


def level(machine, size, threads):
    """The first level of the memory that holds so many bytes, spread over the threads."""
    for name, capacity in sorted(machine["caches"].items()):
        if size <= capacity * max(1, threads // machine["shared"][name]):
            return name
    return "memory"


def limits(machine, facts, threads, batch, precision):
    """Milliseconds that the multiply-adds of the layers' definitions take at the peak, and that reading
    the weights once and moving every kernel's activations take at the rate of the level that holds them."""
    peak = rate(machine, "dot/bf16" if precision == "bf16" else "multiply-add/f32", threads)
    size = 0.5 if precision == "bf16" else 1
    weights, arena = facts["weights"] * size, facts["arena"] * batch * size
    far = rate(machine, "read/" + level(machine, weights + arena, threads), threads)
    near = rate(machine, "copy/" + level(machine, arena, threads), threads)
    if not (peak and far and near):
        return None
    return {"arithmetic": facts["flops"] * batch / peak / 1e6,
            "weights": weights / far / 1e6,
            "activations": facts["activations"] * batch * size / near / 1e6}
