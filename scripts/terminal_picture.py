#!/usr/bin/env python3
"""Draws docs/images/train.svg: a terminal in the last epoch of a training run, in the colours that it has.

    cargo build --release
    python3 scripts/terminal_picture.py                   # what follows is given to `tilewright train`

The run has a terminal of its own, whose screen is kept as it stands when the last bar is nearly full. Unix only.
"""

import argparse
import codecs
import fcntl
import os
import pathlib
import pty
import re
import struct
import tempfile
import termios
from xml.sax.saxutils import escape

ROOT = pathlib.Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "train.svg"
COLUMNS, ROWS = 108, 40

# By the numbers in src/cli/colour.rs; those of a dark terminal.
COLOURS = {"": "#c9d1d9", "32": "#7ee787", "90": "#9da7b3", "1;31": "#ff7b72"}
PROMPT = "#f0f6fc"


class Screen:
    """As much of a terminal as the program's lines and bars need."""

    def __init__(self):
        self.lines = [[]]
        self.row = self.column = 0
        self.colour = ""

    def feed(self, text):
        for escape_sequence, control, letters in re.findall(r"\x1b\[([0-9;?]*[A-Za-z])|([\r\n])|([^\x1b\r\n]+)", text):
            if escape_sequence:
                self.steer(escape_sequence[:-1], escape_sequence[-1])
            elif control == "\r":
                self.column = 0
            elif control == "\n":
                self.move(self.row + 1)
            else:
                for letter in letters:
                    self.write(letter)

    def steer(self, numbers, what):
        count = int(numbers) if numbers.isdigit() else 1
        if what == "m":
            self.colour = "" if numbers in ("", "0") else numbers
        elif what == "A":
            self.move(max(self.row - count, 0))
        elif what == "B":
            self.move(self.row + count)
        elif what == "G":
            self.column = count - 1
        elif what == "K":
            line = self.lines[self.row]
            self.lines[self.row] = [] if numbers == "2" else line[: self.column]
        elif what == "J":
            self.lines[self.row] = self.lines[self.row][: self.column]
            del self.lines[self.row + 1 :]

    def move(self, row):
        self.row = row
        while len(self.lines) <= row:
            self.lines.append([])

    def write(self, letter):
        if self.column == COLUMNS:
            self.move(self.row + 1)
            self.column = 0
        line = self.lines[self.row]
        line.extend([(" ", "")] * (self.column + 1 - len(line)))
        line[self.column] = (letter, self.colour)
        self.column += 1

    def text(self):
        return ["".join(letter for letter, _ in line).rstrip() for line in self.lines]


def watched(command, folder):
    """The lines of the screen when the last bar was fullest."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.environ.pop("NO_COLOR", None)
        os.environ["TERM"] = "xterm-256color"
        os.execv(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    screen, kept = Screen(), []
    # A chunk may end within a letter, or within a sequence.
    decoder, rest = codecs.getincrementaldecoder("utf-8")("replace"), ""
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:
            break
        if not chunk:
            break
        text = rest + decoder.decode(chunk)
        whole = text[: text.rfind("\x1b")] if "\x1b" in text[-12:] else text
        rest = text[len(whole) :]
        # Bars are written anew from the left.
        for part in re.split(r"(?=\r)", whole):
            screen.feed(part)
            last = re.search(r"epoch (\d+)/(\d+) \[=+> *\] .*left$", "\n".join(screen.text()), re.MULTILINE)
            if last and last[1] == last[2]:
                kept = [list(line) for line in screen.lines]
    if os.waitpid(child, 0)[1] != 0 or not kept:
        raise SystemExit("\n".join(screen.text()))
    for line in kept:
        while line and line[-1][0] == " ":
            line.pop()
    while not kept[-1]:
        kept.pop()
    return kept


def drawn(lines, title):
    """The lines as an SVG picture of a terminal."""
    height = 52 + 21 * (len(lines) + 1)
    rows = [f'    <text x="16" y="52" fill="{PROMPT}">$ {escape(title)}</text>']
    for number, line in enumerate(lines):
        parts, begin = [], 0
        for end in range(1, len(line) + 1):
            if end == len(line) or line[end][1] != line[begin][1]:
                text = "".join(letter for letter, _ in line[begin:end])
                fill = COLOURS.get(line[begin][1], COLOURS[""])
                parts.append(f'<tspan fill="{fill}">{escape(text)}</tspan>')
                begin = end
        rows.append(f'    <text x="16" y="{73 + 21 * number}">{"".join(parts)}</text>')
    dots = [f'  <circle cx="{x}" cy="15" r="5" fill="#484f58"/>' for x in (18, 36, 54)]
    fonts = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="920" height="{height}" viewBox="0 0 920 {height}" role="img" '
        'aria-label="A terminal in the last epoch of tilewright train: what is trained on what, a line per epoch, and '
        'a progress bar">',
        f'  <rect width="920" height="{height}" rx="8" fill="#0d1117"/>',
        '  <rect width="920" height="30" rx="8" fill="#161b22"/>',
        *dots,
        f'  <g font-family="{fonts}" font-size="13.5" xml:space="preserve">',
        *rows,
        "  </g>",
        "</svg>",
        "",
    ])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "target" / "release" / "tilewright"))
    options, arguments = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        lines = watched([str(pathlib.Path(options.program).resolve()), "train", *arguments], folder)
    PICTURE.write_text(drawn(lines, " ".join(["tilewright", "train", *arguments])))


if __name__ == "__main__":
    main()
