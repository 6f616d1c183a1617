"""Checks a page of `halcyon explain --html`: page.py PAGE JSON MODEL."""

import json
import re
import sys

page = open(sys.argv[1]).read()
parts = {name: json.loads(text) for name, text in
         re.findall(r'<script type="application/json" id="(\w+)">(.*?)</script>', page, re.S)}
assert parts["explanation"] == json.load(open(sys.argv[2])), "other facts than --json"
(file, lines), = parts["sources"].items()
assert lines == open(sys.argv[3]).read().split("\n"), file
assert "@" not in re.sub(r"@media|@import", "", re.sub(r"<script type.*?</script>", "", page, flags=re.S)), "a mark is left"
assert not re.search(r"(src|href)=.http", page), "the page asks for other files"
