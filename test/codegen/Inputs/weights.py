"""Checks that the prepared weights lie in a read-only segment of the program."""

import re
import subprocess
import sys

program = sys.argv[1]
info = subprocess.run([program, "--info"], capture_output=True, text=True, check=True).stdout
wanted = float(re.search(r"weights ([0-9.e+-]+) MB", info)[1]) * 1e6
table = subprocess.run(["llvm-readelf", "-lW", program], capture_output=True, text=True, check=True).stdout
sizes = []
for line in table.splitlines():
    load = re.match(r"\s+LOAD\s+(0x\w+)\s+0x\w+\s+0x\w+\s+(0x\w+)\s+(0x\w+)\s+R  \s", line)
    if load and load[2] == load[3] and int(load[1], 16) % 4096 == 0:
        sizes.append(int(load[2], 16))
assert any(size >= 0.99 * wanted for size in sizes), (wanted, table)
