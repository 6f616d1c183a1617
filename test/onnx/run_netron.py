#!/usr/bin/env python3
"""The ONNX files that halcyon writes, opened in Netron in headless Chromium.

    run_netron.py [--browser PATH] [NAME ...]

Netron, its package for Python, is installed into build/netron. Its page gets the model as its own
server would give it, and a script that sends back what the graph shows: every node of the file by
its kind, and no message.
"""

import argparse
import collections
import functools
import http.server
import json
import pathlib
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import venv

import onnx

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
EXAMPLES = ROOT / "examples"
PACKAGE = "netron==9.3.3"
NETWORKS = ["lenet", "resnet18", "unet", "fpn_ssd"]
SCRIPT = r"""
<script type="module">
  const drawn = () => document.body.classList.contains("default") && document.querySelector("#canvas .node");
  const failed = () => document.body.classList.contains("alert");
  while (!drawn() && !failed()) await new Promise((done) => setTimeout(done, 50));
  const texts = [...document.querySelectorAll("#canvas .node-item-type > text")].map((node) => node.textContent);
  const kinds = texts.filter((text) => text !== "\u0192");  // beside the calls of a function
  const message = failed() ? document.getElementById("message-text").textContent : "";
  await fetch("/seen", { method: "POST", body: JSON.stringify({ kinds, message }) });
</script>
"""


def site():
    """The folder of Netron's page."""
    folder = BUILD / "netron"
    found = list(folder.glob("lib/python*/site-packages/netron/index.html"))
    if not found:
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                        PACKAGE], check=True)
        found = list(folder.glob("lib/python*/site-packages/netron/index.html"))
    return found[0].parent


class Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *args, model, answers, **more):
        self.model, self.answers = model, answers
        super().__init__(*args, **more)

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/":
            page = (pathlib.Path(self.directory) / "index.html").read_text()
            # Its own server replaces the version likewise. Of 0.0.0 it neither asks for news nor counts users.
            page = re.sub(r'<meta name="version".*>', '<meta name="version" content="0.0.0">\n'
                          f'<meta name="file" content="/data/{self.model.name}">', page)
            page = re.sub(r'<meta (http-equiv="Content-Security-Policy"|name="date").*>', "", page)
            self.send(page.replace("</body>", SCRIPT + "</body>").encode(), "text/html")
        elif path == f"/data/{self.model.name}":
            self.send(self.model.read_bytes(), "application/octet-stream")
        else:
            super().do_GET()

    def send(self, data, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Set-Cookie", "consent=1; path=/")
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        self.answers.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def opened(browser, folder, model):
    """What the page says of a model."""
    answers = queue.Queue()
    handler = functools.partial(Handler, directory=str(folder), model=model, answers=answers)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, tempfile.TemporaryDirectory() as profile:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = subprocess.Popen([browser, "--headless=new", "--no-sandbox", "--no-first-run", "--disable-gpu",
                                 f"--user-data-dir={profile}", f"http://localhost:{server.server_port}/"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            return answers.get(timeout=180)
        except queue.Empty:
            return {"kinds": [], "message": "the page said nothing"}
        finally:
            page.terminate()
            page.wait()
            server.shutdown()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--browser", default=shutil.which("chromium") or shutil.which("google-chrome"))
    parser.add_argument("name", nargs="*", default=NETWORKS)
    args = parser.parse_args()
    if not args.browser:
        print(f"no Chromium is installed\n0 passed, 0 failed, {len(args.name)} skipped")
        return 0
    folder, passed, failed = site(), 0, 0
    with tempfile.TemporaryDirectory() as temporary:
        for name in args.name:
            model = pathlib.Path(temporary) / f"{name}.onnx"
            subprocess.run([BUILD / "bin" / "halcyon", "emit", EXAMPLES / f"{name}.cnn", "--for=onnx", "--weights", "seed:1",
                            "-o", model], check=True)
            said = opened(args.browser, folder, model)
            # Constants are shown at the nodes that read them.
            wanted = collections.Counter(node.op_type for node in onnx.load(model).graph.node if node.op_type != "Constant")
            shown = collections.Counter(said["kinds"])
            good = not said["message"] and wanted == shown
            passed, failed = passed + good, failed + (not good)
            print("PASS" if good else "FAIL", f"netron {name}: {sum(shown.values())} nodes", flush=True)
            if not good:
                print(said["message"], "missing:", dict(wanted - shown), "not of the file:", dict(shown - wanted))
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
