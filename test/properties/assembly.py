"""Innermost loops of x86-64 assembly as LLVM writes it, and what is in them."""

import re
from dataclasses import dataclass, field

KERNEL = re.compile(r"^// kernel (\S+)$", re.M)
LABEL = re.compile(r"^(\.LBB\w+):")
JUMP = re.compile(r"^\tj\w+\s+(\.LBB\w+)")
MULTIPLY_ADD = re.compile(r"^v(fn?m(add|sub)\d+|dpbf16)ps$")
SUM = re.compile(r"^v(fn?m(add|sub)\d+|dpbf16|add|sub)ps$")
ARITHMETIC = re.compile(r"^v(fn?m(add|sub)\d+|dpbf16|add|sub|mul|max|min)ps$")
MEMORY = re.compile(r"-?\w*\([^)]*\)")
SPILL = re.compile(r"# (16|32|64)-byte (Folded )?(Spill|Reload)")
VECTOR = re.compile(r"%([xyz])mm")


@dataclass
class Loop:
    function: str
    depth: int            # loops around it
    lines: list = field(repr=False)

    def instructions(self):
        for line in self.lines:
            words = line.split("#")[0].split(None, 1)
            if words and line.startswith("\t") and not words[0].startswith("."):
                yield words[0], words[1].strip() if len(words) > 1 else ""

    def count(self, which):
        return sum(1 for name, operands in self.instructions() if which(name, operands))

    @property
    def multiply_adds(self):
        return self.count(lambda name, _: MULTIPLY_ADD.match(name))

    @property
    def sums(self):
        """Multiply-adds and additions: of these the fast inner product makes its sums."""
        return self.count(lambda name, _: SUM.match(name))

    @property
    def loads(self):
        """Reads of memory into vectors, those inside of arithmetic too."""
        return self.count(lambda name, operands: VECTOR.search(operands) and MEMORY.search(operands)
                          and not MEMORY.search(operands.rsplit(",", 1)[-1]))

    @property
    def spills(self):
        """Vectors that go to the stack or come from there, as LLVM remarks."""
        return sum(1 for line in self.lines if SPILL.search(line))

    @property
    def narrow(self):
        """Packed arithmetic that is narrower than the widest here."""
        def width(operands):
            return max((" xyz".index(letter) for letter in VECTOR.findall(operands)), default=0)

        widths = [width(operands) for name, operands in self.instructions() if ARITHMETIC.match(name)]
        return sum(1 for one in widths if one < max(widths, default=0))

    @property
    def vector(self):
        """"zmm", "ymm" or "xmm": the widest that arithmetic uses."""
        found = {letter for name, operands in self.instructions() if MULTIPLY_ADD.match(name)
                 for letter in VECTOR.findall(operands)}
        return max(found, default="") + "mm" if found else ""


def loops(text):
    """Innermost loops of one kernel's assembly."""
    found = []
    for part in re.split(r"# -- Begin function (\S+)", text)[1:][1::2]:
        name = re.search(r"^(\w+):", part, re.M)
        lines = part.splitlines()
        labels = {match.group(1): at for at, line in enumerate(lines) if (match := LABEL.match(line))}
        spans = {}
        for at, line in enumerate(lines):
            jump = JUMP.match(line)
            if jump and labels.get(jump.group(1), at) < at:
                begin = labels[jump.group(1)]
                spans[begin] = max(at, spans.get(begin, 0))
        for begin, end in spans.items():
            if any(begin < other <= end for other in spans):
                continue
            around = sum(1 for other, last in spans.items() if other < begin and end < last)
            found.append(Loop(name.group(1) if name else "", around, lines[begin:end + 1]))
    return found


def kernels(text):
    """Name -> innermost loops, of what `halcyon compile --emit=asm` writes."""
    parts = KERNEL.split(text)
    return {name: loops(part) for name, part in zip(parts[1::2], parts[2::2])}


def hot(all_loops):
    """The loops that a kernel of multiply-adds spends its time in: an eighth as many of them as the fullest has, which may be a transform."""
    most = max((loop.multiply_adds for loop in all_loops), default=0)
    return [loop for loop in all_loops if most and loop.multiply_adds * 8 > most]
