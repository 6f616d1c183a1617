"""Writes models that ask for too much into a folder."""
import os
import sys

folder = sys.argv[1]
os.makedirs(folder, exist_ok=True)


def write(name, statement="", before=""):
    with open(os.path.join(folder, name + ".cnn"), "w") as file:
        file.write(before)
        file.write("model m {\n  input image: f32[N, 3, 8, 8]\n")
        file.write("  " + statement + "\n  output image -> relu\n}\n")


n = 100000
write("parentheses", "x = " + "(" * n + "1" + ")" * n)
write("minus", "x = " + "-" * n + "1")
write("branches", "x = " + "if true { " * n)
write("sum", "x = " + "1 + " * n + "1")
write("chain", "x = image" + " -> relu" * n)
write("endless", "x = f(image)", "block f(x) { return f(x) }\n")
write("endless_op", "x = f(image)", "op f(x) = f(x)\n")
write("loops", "for i in 1..60000 { for j in 1..60000 { x = i } }")
write("doubling", "x = f(image, 60)",
      "block f(x, n) { return if n == 0 { x } else { f(f(x, n - 1), n - 1) } }\n")
write("lists", "x = [1]\n  for i in 1..1000 { x = x + x }")
write("text", 'x = "a"\n  for i in 1..1000 { x = "{x}{x}" }')
with open(os.path.join(folder, "bytes.cnn"), "wb") as file:
    file.write(b"\x00\xff" * 1000)
open(os.path.join(folder, "empty.cnn"), "w").close()
