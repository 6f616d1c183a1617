"""Results as lines on the terminal and as the tables of a document."""

import pathlib
import statistics
import textwrap

import machine
import network
from peers import PEERS

BEGIN, END = "<!-- networks: begin -->", "<!-- networks: end -->"


def digits(ms):
    """Three that matter."""
    return f"{ms:.3f}" if ms < 1 else f"{ms:.2f}" if ms < 10 else f"{ms:.1f}" if ms < 100 else f"{ms:.0f}"


def median(row, key):
    return statistics.median(row["times"][key]) if row["times"].get(key) else None


def best_peer(row, precision):
    """The key of the peer with the least median in this precision."""
    found = [key for key in row["times"] if not key.startswith("halcyon ") and key.endswith(f" {precision}")]
    return min(found, key=lambda key: median(row, key), default=None)


def ratios(row, ours, theirs):
    """Round by round; their median, lowest and highest."""
    found = sorted(a / b for a, b in zip(row["times"][ours], row["times"][theirs]))
    return statistics.median(found), found[0], found[-1]


def precisions(row):
    return [key.split()[1] for key in row["times"] if key.startswith("halcyon ")]


def heading():
    return f"{'network':18}{'':6}{'ours ms':>10}{'peer ms':>10}{'ratio':>8}   lowest..highest  best peer"


def lines(row):
    for precision in precisions(row):
        ours, theirs = f"halcyon {precision}", best_peer(row, precision)
        text = f"{row['network']:18}{precision:6}{median(row, ours):10.3f}"
        if theirs:
            middle, low, high = ratios(row, ours, theirs)
            text += f"{median(row, theirs):10.3f}{middle:8.2f}   {low:.2f}..{high:.2f}       {theirs.split()[0]}"
        yield text
    for key, why in row["refused"].items():
        yield f"{row['network']:18}{key}: {why}"


#
# Tables
#


def latest(results, name, threads, batch, precision):
    for row in reversed(results["rows"]):
        if (row["network"], row["threads"], row["batch"]) == (name, threads, batch) and precision in precisions(row):
            return row
    return None


def cell(row, key):
    value = median(row, key)
    return digits(value) if value else "-"


def table(results, threads, batch, precision):
    """Rows for every network that was measured so."""
    rows = {name: latest(results, name, threads, batch, precision) for name in network.every()}
    rows = {name: row for name, row in rows.items() if row}
    if not rows:
        return []
    columns = [peer for peer in PEERS.values() if precision in peer.precisions
               and any(row["times"].get(f"{peer.name} {precision}") for row in rows.values())]
    titles = ["network", "Halcyon", *(peer.title for peer in columns), "ratio to the best", "lowest to highest",
              "multiply-adds", "weights", "activations"]
    text = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    for name, row in rows.items():
        ours, theirs = f"halcyon {precision}", best_peer(row, precision)
        cells = [network.title(name), cell(row, ours), *(cell(row, f"{peer.name} {precision}") for peer in columns)]
        if theirs:
            middle, low, high = ratios(row, ours, theirs)
            cells += [f"**{middle:.2f}**", f"{low:.2f} to {high:.2f}"]
        else:
            cells += ["-", "-"]
        limit = machine.limits(results["machine"], row["facts"], threads, batch, precision)
        cells += [digits(limit[key]) for key in ("arithmetic", "weights", "activations")] if limit else ["-"] * 3
        text.append("| " + " | ".join(cells) + " |")
    return text


def scaling(results):
    """Two threads by one, and a picture of a batch by one alone."""
    counts = sorted({(row["threads"], row["batch"]) for row in results["rows"]})
    threads = sorted({count for count, _ in counts})
    batches = sorted({batch for _, batch in counts})
    if len(threads) < 2 and len(batches) < 2:
        return []
    text = ["| network | GFLOP | one thread / all | of a batch, per picture / alone | the same, ratio to the best peer |",
            "|---|---|---|---|---|"]
    for name in network.every():
        row = latest(results, name, threads[-1], 1, "f32")
        if not row:
            continue
        base = median(row, "halcyon f32")
        one = latest(results, name, threads[0], 1, "f32") if len(threads) > 1 else None
        many = latest(results, name, threads[-1], batches[-1], "f32") if len(batches) > 1 else None
        cells = [network.title(name), f"{row['facts']['flops'] / 1e9:.3g}"]
        cells.append(f"{median(one, 'halcyon f32') / base:.2f}" if one else "-")
        cells.append(f"{median(many, 'halcyon f32') / batches[-1] / base:.2f}" if many else "-")
        cells.append(" after ".join(
            f"{ratios(each, 'halcyon f32', best_peer(each, 'f32'))[0]:.2f}" for each in (many, row))
            if many and best_peer(many, "f32") and best_peer(row, "f32") else "-")
        text.append("| " + " | ".join(cells) + " |")
    return text


def about(results):
    """The machine and the versions."""
    found = results["machine"]
    versions = {}
    for row in results["rows"]:
        versions.update(row["versions"])
    days = sorted({row["date"] for row in results["rows"]})
    rates = [f"{name} {' and '.join(f'{value:.0f}' for value in by_count.values())} "
             f"{'GB/s' if name.startswith(('read', 'copy')) else 'GFLOP/s'}"
             for name, by_count in found["rates"].items()]
    text = (f"Measured {' to '.join(dict.fromkeys([days[0], days[-1]]))} on {found['cores']} cores of {found['cpu']}, "
            f"a machine that others share. Its limits, on one core and on all: {', '.join(rates)}. "
            f"Peers: {', '.join(f'{PEERS[name].title} {version}' for name, version in versions.items())}.")
    return [textwrap.fill(text, 100), ""]


def document(results):
    text = about(results) if results["rows"] else ["Nothing is measured yet."]
    configurations = sorted({(-row["threads"], row["batch"]) for row in results["rows"]})
    for precision in ("f32", "bf16"):
        for threads, batch in configurations:
            rows = table(results, -threads, batch, precision)
            if rows:
                text += [f"### {precision}, batch {batch}, {-threads} thread{'s' * (threads < -1)}, ms", "", *rows, ""]
    compared = scaling(results)
    if compared:
        text += ["### Threads and batches, f32", "", *compared, ""]
    return "\n".join(text).rstrip() + "\n"


def write(path, results):
    """Replaces what lies between the marks, and nothing else."""
    old = pathlib.Path(path).read_text()
    before, mark, rest = old.partition(BEGIN)
    _, last, after = rest.partition(END)
    if not mark or not last:
        raise SystemExit(f"{path} has no lines {BEGIN} and {END}")
    new = pathlib.Path(f"{path}.new")
    new.write_text(f"{before}{BEGIN}\n{document(results)}{END}{after}")
    new.replace(path)
