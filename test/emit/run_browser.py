#!/usr/bin/env python3
"""The wasm form's page, and the webgpu form's models, in headless Chromium.

    run_browser.py [--browser PATH]

Served as serve.mjs does, the page has threads; served without its headers it has one. The page
gets a script that drops a digit, reads what is shown, and sends it back. WebGPU runs
on the adapter that Chromium brings, which computes on the CPU.
"""

import argparse
import functools
import http.server
import json
import pathlib
import queue
import shutil
import subprocess
import sys
import tempfile
import threading

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
EXAMPLES = ROOT / "examples"
DIGITS = {"08-digit-9.png": "9", "01-digit-7.png": "7"}
SCRIPT = """
<script type="module">
  const wait = async (found) => { while (!found()) await new Promise((done) => setTimeout(done, 20)); };
  const classes = document.getElementById("classes"), state = document.getElementById("state");
  await wait(() => document.body.dataset.ready || !state.textContent.startsWith("loading"));
  const seen = [];
  for (const name of NAMES) {
    const file = new File([await (await fetch(name)).arrayBuffer()], name, { type: "image/png" });
    const dropped = new DataTransfer();
    dropped.items.add(file);
    state.textContent = classes.textContent = "";
    document.getElementById("drop").dispatchEvent(new DragEvent("drop", { dataTransfer: dropped, cancelable: true }));
    await wait(() => state.textContent);
    seen.push(classes.rows[0]?.cells[0].textContent ?? state.textContent);
  }
  await fetch("/seen", { method: "POST", body: `${seen.join(" ")} | ${state.textContent}` });
</script>
"""
MODEL = """
<script type="module">
  let said;
  try {
    const { inputs, load } = await import("./NAME.mjs");
    const adapter = await navigator.gpu.requestAdapter();
    const { maxBufferSize, maxStorageBufferBindingSize, maxStorageBuffersPerShaderStage } = adapter.limits;
    const device = await adapter.requestDevice({
      requiredLimits: { maxBufferSize, maxStorageBufferBindingSize, maxStorageBuffersPerShaderStage },
    });
    let written = 0;
    device.queue.writeBuffer = function (...args) {
      ++written;
      return GPUQueue.prototype.writeBuffer.apply(this, args);
    };
    const [model, other] = await Promise.all([load({ device }), load({ device })]), copies = written;
    const all = new Float32Array(await (await fetch("images")).arrayBuffer());
    const run = async (images, model) => Array.from(Object.values(await model.run({ [inputs[0].name]: images }))[0]);
    // One image, then both, then the first again: buffers grow, and nothing is left of what was. The
    // second model shares the weights and runs at the same time, the third has a device of its own.
    const first = all.subarray(0, all.length / 2), one = await run(first, model);
    const [two, ...same] = await Promise.all([run(all, model), run(first, other)]);
    same.push(await run(first, model), await run(first, await load()));
    said = JSON.stringify(copies !== 1 ? `the weights are copied ${copies} times`
      : same.some((values) => one.some((value, i) => value !== values[i]))
      ? "the first image is another one later, or on another model" : [one, two]);
  } catch (error) {
    said = JSON.stringify(String(error));
  }
  await fetch("/seen", { method: "POST", body: said });
</script>
"""
WEBGPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]


class Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript",
                      ".wasm": "application/wasm"}

    def __init__(self, *args, isolated, answers, **more):
        self.isolated, self.answers = isolated, answers
        super().__init__(*args, **more)

    def end_headers(self):
        if self.isolated:
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def do_POST(self):
        self.answers.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def shown(browser, site, isolated, flags=("--disable-gpu",)):
    """What the folder's test.html sends back."""
    answers = queue.Queue()
    handler = functools.partial(Handler, directory=str(site), isolated=isolated, answers=answers)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, tempfile.TemporaryDirectory() as profile:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = subprocess.Popen([browser, "--headless=new", "--no-sandbox", "--no-first-run", *flags,
                                 f"--user-data-dir={profile}", f"http://localhost:{server.server_port}/test.html"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            return answers.get(timeout=300)
        except queue.Empty:
            return "nothing"
        finally:
            page.terminate()
            page.wait()
            server.shutdown()


def run_webgpu(browser, folder, source, size):
    """Compares two images' results with those of the program for this machine."""
    network = source.stem
    halcyon, site, program = BUILD / "bin" / "halcyon", folder / f"{network}-webgpu", folder / f"{network}-program"
    model = [source, "--weights", "seed:1"]
    subprocess.run([halcyon, "emit", *model, "--for=webgpu", "-o", site], check=True)
    subprocess.run([halcyon, "compile", *model, "-o", program], check=True)
    images = np.random.default_rng(1).standard_normal((2, *size), np.float32)
    images.tofile(site / "images")
    np.save(folder / "images.npy", images)
    subprocess.run([program, "--input", folder / "images.npy", "--output", folder / "results.npy"], check=True)
    wanted = np.load(folder / "results.npy")
    (site / "test.html").write_text(MODEL.replace("NAME", network))
    text = shown(browser, site, False, WEBGPU)
    said = json.loads(text) if text != "nothing" else text
    if isinstance(said, str):
        return said
    one, two = (np.array(values, np.float32).reshape(-1, *wanted.shape[1:]) for values in said)
    worst = np.maximum(abs(one - wanted[:1]).max(), abs(two - wanted).max()) / abs(wanted).max()
    return "equal" if worst <= 1e-4 else f"differs by {worst:.1e}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--browser", default=shutil.which("chromium") or shutil.which("google-chrome"))
    browser = parser.parse_args().browser
    if not browser:
        print("no Chromium is installed\n0 passed, 0 failed, 2 skipped")
        return 0
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        site = pathlib.Path(folder) / "lenet"
        subprocess.run([BUILD / "bin" / "halcyon", "emit", EXAMPLES / "lenet.cnn", "--for=wasm", "--weights",
                        EXAMPLES / "lenet.safetensors", "-o", site], check=True)
        for name in DIGITS:
            shutil.copy(EXAMPLES / "digits" / name, site)
        page = (site / "index.html").read_text()
        (site / "test.html").write_text(page.replace("</html>", SCRIPT.replace("NAMES", str(list(DIGITS))) + "</html>"))
        for isolated, threads in ((True, "threads"), (False, "1 thread: this page is not isolated")):
            text = shown(browser, site, isolated)
            good = text.startswith(" ".join(DIGITS.values()) + " |") and threads in text
            passed, failed = passed + good, failed + (not good)
            print("PASS" if good else "FAIL", "isolated" if isolated else "not isolated", text, flush=True)
        powers = pathlib.Path(folder) / "powers.cnn"
        powers.write_text("model powers {\n  input x: f32[N, 64]\n  output y = pow(relu(x), 0.3)\n}\n")
        for source, size in ((powers, (64,)), (EXAMPLES / "lenet.cnn", (1, 28, 28)),
                             (EXAMPLES / "squeezenet.cnn", (3, 224, 224)), (EXAMPLES / "mobilenet_v2.cnn", (3, 224, 224))):
            text = run_webgpu(browser, pathlib.Path(folder), source, size)
            good = text == "equal"
            passed, failed = passed + good, failed + (not good)
            print("PASS" if good else "FAIL", f"{source.stem} on WebGPU: {text}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
