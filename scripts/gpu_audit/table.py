"""The table of one device, in Markdown, a row per kernel."""

# Heading, and what stands below it for a kernel.
COLUMNS = [
    ("kernel", lambda kernel: kernel.name),
    ("of", lambda kernel: "loop" if kernel.loops else "-" if kernel.mix is None else "all"),
    ("regs", lambda kernel: text(kernel.number("registers"))),
    ("spills", lambda kernel: text(kernel.number("spills"))),
    ("scratch", lambda kernel: text(kernel.number("scratch"))),
    ("waves", lambda kernel: text(kernel.number("waves"))),
    ("shared", lambda kernel: text(kernel.number("shared"))),
    ("fma", lambda kernel: multiply_adds(kernel)),
    ("vector", lambda kernel: text(kernel.number("vector"))),
    ("slow", lambda kernel: text(kernel.number("slow"))),
    ("fma %", lambda kernel: text(kernel.number("share"))),
    ("loads", lambda kernel: accesses(kernel, "load")),
    ("per load", lambda kernel: text(kernel.number("vector per load"))),
    ("shared loads", lambda kernel: accesses(kernel, "shared load")),
    ("stores", lambda kernel: accesses(kernel, "store")),
    ("branches", lambda kernel: text(kernel.number("branch"))),
]


def text(number):
    return "-" if number is None else f"{number:.0f}" if number >= 100 or number == int(number) else f"{number:.1f}"


def multiply_adds(kernel):
    matrices = kernel.number("matrix")
    return text(kernel.number("fma")) + (f" + {matrices} matrix" if matrices else "")


def accesses(kernel, kind):
    return "-" if kernel.mix is None else kernel.mix.accesses(kind)


def representatives(kernels):
    """One of the kernels of each name, with and without a loop: the one with the most work beside multiply-adds.

    Pipelines of one name differ in sizes that are constants; the limits see them all."""
    found = {}
    for kernel in kernels:
        found.setdefault((kernel.name, kernel.loops), []).append(kernel)
    return [max(found[key], key=beside) for key in sorted(found)]


def beside(kernel):
    return (kernel.number("vector") or 0) + 4 * (kernel.number("slow") or 0), kernel.number("instructions") or 0


def markdown(kernels):
    rows = [[cell(kernel) for _, cell in COLUMNS] for kernel in representatives(kernels)]
    head = [name for name, _ in COLUMNS]
    lines = ["| " + " | ".join(row) + " |" for row in [head, *rows]]
    lines.insert(1, "| " + " | ".join("---" if name in ("kernel", "of") else "---:" for name in head) + " |")
    return "\n".join(lines)
