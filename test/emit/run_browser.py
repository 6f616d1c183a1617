#!/usr/bin/env python3
"""The wasm form's page, and the webgpu form's shaders, in headless Chromium.

    run_browser.py [--browser PATH]

Served as serve.mjs does, the page has threads; served without its headers it has one. The page
gets a script that drops a digit, reads what is shown, and sends it back. Shaders are compiled by
WebGPU, on the adapter that Chromium brings.
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
SHADERS = """
<script type="module">
  const said = [];
  try {
    const device = await (await navigator.gpu.requestAdapter()).requestDevice();
    for (const name of NAMES) {
      const module = device.createShaderModule({ code: await (await fetch(name)).text() });
      for (const { type, lineNum, message } of (await module.getCompilationInfo()).messages)
        if (type === "error") said.push(`${name}:${lineNum}: ${message}`);
    }
  } catch (error) {
    said.push(String(error));
  }
  await fetch("/seen", { method: "POST", body: said.join("\\n") || "valid" });
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
            return answers.get(timeout=180)
        except queue.Empty:
            return "nothing"
        finally:
            page.terminate()
            page.wait()
            server.shutdown()


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
        for network in ("lenet", "mobilenet_v2"):
            site = pathlib.Path(folder) / f"{network}-webgpu"
            subprocess.run([BUILD / "bin" / "halcyon", "emit", EXAMPLES / f"{network}.cnn", "--for=webgpu", "--weights",
                            "seed:1", "-o", site], check=True)
            names = sorted(f"kernels/{path.name}" for path in (site / "kernels").glob("*.wgsl"))
            (site / "test.html").write_text(SHADERS.replace("NAMES", json.dumps(names)))
            text = shown(browser, site, False, WEBGPU)
            good = text == "valid" and bool(names)
            passed, failed = passed + good, failed + (not good)
            print("PASS" if good else "FAIL", f"{network}: {len(names)} WGSL kernels: {text}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
