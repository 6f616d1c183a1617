"""Checks what `halcyon view` draws of a small network: view.py FOLDER."""

import pathlib
import struct
import subprocess
import sys
import zlib

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "reference"))
from graph import read_safetensors, write_safetensors  # noqa: E402

folder = pathlib.Path(sys.argv[1])
(folder / "names.txt").write_text("red\nspot\nnothing\n")
(folder / "spots.cnn").write_text("""model spots(classes = 3) {
  input image: f32[N, 3, 16, 16] from image(resize=16)
  x = image -> conv(4, 3) -> relu -> maxpool(2) -> conv(5, 3, bias=false) -> batchnorm -> relu
  output x -> global_avgpool -> flatten -> linear(classes) labels "names.txt"
}
""")


def write_png(path, pixels):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    high, wide, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", wide, high, 8, 2, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def read_png(path):
    data, at, packed = path.read_bytes(), 8, b""
    while at < len(data):
        length, name = struct.unpack(">I4s", data[at:at + 8])
        if name == b"IHDR":
            wide, high = struct.unpack(">II", data[at + 8:at + 16])
        if name == b"IDAT":
            packed += data[at + 8:at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length:at + 12 + length])[0] == zlib.crc32(data[at + 4:at + 8 + length])
        at += 12 + length
    return np.frombuffer(zlib.decompress(packed), np.uint8).reshape(high, -1)[:, 1:].reshape(high, wide, 3)


draw = np.random.default_rng(3)
weights = {
    "conv_1.weight": draw.normal(0, 0.4, (4, 3, 3, 3)), "conv_1.bias": draw.normal(0, 0.1, 4),
    "conv_2.weight": draw.normal(0, 0.3, (5, 4, 3, 3)),
    "batchnorm_1.weight": draw.uniform(0.5, 1.5, 5), "batchnorm_1.bias": draw.normal(0.3, 0.2, 5),
    "batchnorm_1.running_mean": draw.normal(0, 0.2, 5), "batchnorm_1.running_var": draw.uniform(0.5, 1.5, 5),
    "linear_1.weight": draw.normal(0, 0.5, (3, 5)), "linear_1.bias": draw.normal(0, 0.1, 3)}
weights = {name: value.astype(np.float32) for name, value in weights.items()}
# The second class is that of something bright: all filters add up, and all that is found speaks for it.
weights["conv_1.weight"][0] = draw.uniform(0.25, 0.35, (3, 3, 3))
weights["conv_2.weight"][2] = 0
weights["conv_2.weight"][2, 0] = 0.5
weights["linear_1.weight"][1] = [0.05, 0, 4, 0.1, 0]
weights["linear_1.weight"][0, 2] = weights["linear_1.weight"][2, 2] = 0
write_safetensors(folder / "w.safetensors", weights)

pictures = []
for number, (y, x) in enumerate(((3, 12), (12, 4), (8, 8), (4, 4)), 1):
    pixels = draw.integers(0, 20, (16, 16, 3)).astype(np.uint8)
    pixels[y - 2:y + 2, x - 2:x + 2] = draw.integers(235, 255, (4, 4, 3))  # no ties for the pool
    write_png(folder / f"{number}.png", pixels)
    pictures.append(pixels.transpose(2, 0, 1).astype(np.float64) / 255)


def conv(x, w):
    x = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    return np.einsum("chwuv,ocuv->ohw", np.lib.stride_tricks.sliding_window_view(x, (3, 3), (1, 2)), w.astype(np.float64))


def forward(x):
    w = weights
    x = np.maximum(conv(x, w["conv_1.weight"]) + w["conv_1.bias"][:, None, None], 0)
    x = x.reshape(4, 8, 2, 8, 2).max((2, 4))
    scale = w["batchnorm_1.weight"] / np.sqrt(w["batchnorm_1.running_var"] + 1e-5)
    shift = w["batchnorm_1.bias"] - w["batchnorm_1.running_mean"] * scale
    maps = np.maximum(conv(x, w["conv_2.weight"]) * scale[:, None, None] + shift[:, None, None], 0)
    features = maps.mean((1, 2))
    return maps, features, w["linear_1.weight"].astype(np.float64) @ features + w["linear_1.bias"]


def view(name, *args):
    subprocess.run(["halcyon", "view", folder / "spots.cnn", "--weights", folder / "w.safetensors", "-o", folder / name,
                    *args], check=True, stdout=subprocess.DEVNULL)
    return read_safetensors(folder / name / "numbers.safetensors"), (folder / name / "index.html").read_text()


def near(a, b, most=5e-4):
    assert a.shape == b.shape, (a.shape, b.shape)
    difference = abs(a - b).max() / abs(b).max()
    assert difference < most, difference


files = [folder / f"{number}.png" for number in (1, 2, 3, 4)]
numbers, page = view("all", *files, "--class", "spot")
out = folder / "all"

for number, x in enumerate(pictures, 1):
    name = f"0{number}-{number}"
    gradient = np.zeros_like(x)
    for at in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[at] = 1e-6
        gradient[at] = (forward(x + step)[2][1] - forward(x - step)[2][1]) / 2e-6
    near(numbers[f"saliency:{name}"][0], gradient)
    strongest = abs(gradient).max(0)
    shown = read_png(out / name / "saliency.png")
    assert shown.shape == (224, 224, 3), shown.shape
    near(shown[7::14, 7::14, 0] / 255.0, (strongest - strongest.min()) / np.ptp(strongest), 3e-3)
    maps = forward(x)[0]
    cam = np.maximum(np.einsum("k,kij->ij", weights["linear_1.weight"][1] / 64, maps), 0)
    near(numbers[f"cam:{name}"], cam)
    # Twice as fine, the peak is where the spot is.
    y, z = ((3, 12), (12, 4), (8, 8), (4, 4))[number - 1]
    peak = np.unravel_index(cam.argmax(), cam.shape)
    assert abs(2 * peak[0] + 1 - y) <= 2 and abs(2 * peak[1] + 1 - z) <= 2, (peak, y, z)
    red = read_png(out / name / "cam.png").astype(int)
    assert red[14 * y, 14 * z, 0] > red[14 * y, 14 * z, 2], "the peak is red"
    far = red[14 * (15 if y < 8 else 0) + 7, 14 * (15 if z < 8 else 0) + 7]
    assert far[2] > far[0], "far from it all is blue"
    # The maps of the last layer: tiles of 8 x 8 in cells of 40, a line between them.
    tiles = read_png(out / name / "features" / "relu_2.png")
    assert tiles.shape == (42, 5 * 41 + 1, 3), tiles.shape
    for k in range(5):
        range_ = np.ptp(maps[k])
        if range_ > 0:
            near(tiles[3:41:5, 41 * k + 3:41 * k + 41:5, 0] / 255.0, (maps[k] - maps[k].min()) / range_, 3e-3)
assert "class spot (1)" in page and "class activation map at relu_2" in page
assert sorted(path.name for path in (out / "01-1" / "features").iterdir()) == [
    f"{name}.png" for name in ("batchnorm_1", "conv_1", "conv_2", "maxpool_1", "relu_1", "relu_2")]

# Filters of three channels in colour, from the least to the largest number; others in grey around 0.
shown = read_png(out / "filters" / "conv_1.png")
w = weights["conv_1.weight"]
assert shown.shape == (41, 4 * 40 + 1, 3), shown.shape
for o in range(1, 4):
    tile = shown[1 + 6:40:13, 40 * o + 1 + 6:40 * o + 40:13].transpose(2, 0, 1) / 255.0
    near(tile, (w[o] - w[o].min()) / np.ptp(w[o]), 3e-3)
shown = read_png(out / "filters" / "conv_2.png")
w = weights["conv_2.weight"]
assert shown.shape == (5 * 40 + 1, 4 * 40 + 1, 3), shown.shape
near(shown[40 + 7:80:13, 80 + 7:120:13, 0] / 255.0, 0.5 + 0.5 * w[1, 2] / abs(w[1, 2]).max(), 5e-3)
assert (shown[80 + 7:120:13, 40 + 7:80:13] == 128).all(), "zeros are the middle grey"

# The map: principal components of what the last layer reads, up to their signs.
points = np.stack([forward(x)[1] for x in pictures])
u, s, _ = np.linalg.svd(points - points.mean(0), full_matrices=False)
found = numbers["map"]
near(abs(found), abs(u[:, :2] * s[:2]), 2e-3)
assert read_png(out / "map.png").shape == (720, 720, 3)

# A unit's picture excites it more than noise, and more than any of these pictures.
numbers, page = view("more", "--only", "maximise,map,features", "--layers", "conv_*", "--map-by", "tsne", "--maximise",
                     "linear_1:1", "--steps", "24", *files)
x = numbers["maximised:linear_1:1"][0].astype(np.float64)
assert forward(x)[2][1] > max(forward(p)[2][1] for p in pictures), forward(x)[2]
assert numbers["map"].shape == (4, 2) and np.isfinite(numbers["map"]).all() and "t-SNE" in page
assert sorted(path.name for path in (folder / "more" / "01-1" / "features").iterdir()) == ["conv_1.png", "conv_2.png"]
assert not (folder / "more" / "filters").exists() and not (folder / "more" / "01-1" / "cam.png").exists()
