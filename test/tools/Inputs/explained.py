"""Checks the JSON of `halcyon explain explained.cnn --algorithm im2col`."""

import json
import sys

facts = json.load(open(sys.argv[1]))
layers = {layer["layer"]: layer for layer in facts["layers"]}
stem, conv = layers["stem"], layers["conv_1"]
assert stem["line"] == 4 and stem["shape"] == [16, 16, 16], stem
assert stem["pad"] == [1, 1, 1, 1] and stem["pad_mode"] == "same", stem
assert stem["flops"] == 2 * 16 * 16 * 16 * 27, stem
field = conv["receptive_field"]
assert field == {"size": [7, 7], "stride": [2, 2], "offset": [-3, -3], "whole": False}, field
assert layers["batchnorm_1"]["kernels"] == stem["kernels"]
assert layers["batchnorm_1"]["fate"] == "folded" and layers["relu_1"]["fate"] == "fused"
kernel = facts["kernels"][conv["kernels"][0] - 1]
assert kernel["algorithm"] == "im2col" and kernel["reason"] == "asked for", kernel
assert kernel["max_error"] == 1e-3 and 1e-8 < kernel["estimated_error"] < 1e-5, kernel
candidates = {c["algorithm"]: c for c in kernel["candidates"]}
assert candidates["direct"]["estimated_ms"] > 0, candidates
assert candidates["winograd4"]["estimated_error"] > 2 * candidates["direct"]["estimated_error"], candidates
assert "estimated_error" not in candidates["pointwise"], candidates
assert "not 1x1" in candidates["pointwise"]["ruled_out"], candidates
assert not {"softmax", "pool", "linear"} & candidates.keys(), candidates
assert layers["relu_1"]["reads"] == [1 + facts["layers"].index(layers["batchnorm_1"])], layers["relu_1"]
assert len(layers["add_1"]["reads"]) == 2 and stem["reads"] == [], layers["add_1"]
assert stem["bytes"] == 4 * (3 * 32 * 32 + 16 * 16 * 16 + 432), stem
assert all(read <= at for at, k in enumerate(facts["kernels"]) for read in k["reads"]), facts["kernels"]
totals = facts["totals"]
assert max(k["live_bytes"] for k in facts["kernels"]) == totals["arena_bound_bytes"], totals
assert totals["parameters"] == sum(layer["parameters"] for layer in facts["layers"])
assert totals["arena_bytes"] >= totals["arena_bound_bytes"] > 0, totals
