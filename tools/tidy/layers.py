# SPDX-License-Identifier: Apache-2.0
"""Arrows point down only: each #include is compared with the layer table of ARCHITECTURE.md."""
import dataclasses
import re

from tidy.tree import Finding, layer_of

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)
FOLDER_CALL = re.compile(r"quorate_folder\(([^)]*)\)")
TABLE_FILE = "ARCHITECTURE.md"


@dataclasses.dataclass
class Layer:
    folder: str
    may_include: list
    tests_also: list
    pure: bool
    line: int

    def allows(self, folder, in_test):
        allowed = self.may_include + (self.tests_also if in_test else [])
        return folder == self.folder or any(
            folder == entry or (entry.endswith("/*") and folder.startswith(entry[:-1]))
            for entry in allowed)


def read_table(text):
    """{folder: Layer} of the table whose header is folder | may include | tests also | kind."""
    layers = {}
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.lstrip().startswith("|"):
            inside = False
        elif [cell.lower() for cell in cells[:2]] == ["folder", "may include"]:
            inside = True
        elif inside and len(cells) >= 4 and not set(cells[0]) <= set("-: "):
            folder = _name(cells[0])
            layers[folder] = Layer(folder, _names(cells[1]), _names(cells[2]),
                                   cells[3].startswith("pure"), number)
    return layers


def _name(cell):
    link = re.match(r"\[(.*?)\]", cell)
    return (link.group(1) if link else cell).strip("` ").rstrip("/")


def _names(cell):
    return [_name(part) for part in cell.split(",") if part.strip() and "nothing" not in part]


def check_table(layers):
    if not layers:
        yield Finding(TABLE_FILE, 1, "layers", "the layer table is missing")


def check_file(file, layers):
    if not _is_layered(file):
        return
    layer = layers.get(file.folder)
    if layer is None:
        yield file.finding(1, "layers", f"the layer table has no row for {file.folder}")
        return
    for match in INCLUDE.finditer(file.text):
        line = file.text.count("\n", 0, match.start()) + 1
        yield from _check_include(file, layer, line, match.group(1))


def _is_layered(file):
    roots = ("src/", "include/", "clients/cpp/", "bench/", "tools/")
    return file.is_cpp and file.path.startswith(roots)


def _check_include(file, layer, line, target):
    folder = target.rsplit("/", 1)[0] if "/" in target else ""
    if target.startswith("quorate/"):
        folder = "include/quorate"
    folder = re.sub(r"/gen$", "", folder)
    if not folder or ".." in target:
        yield file.finding(line, "layers", f'"{target}": name the path from src/')
    elif not layer.allows(folder, file.is_test):
        where = "tests of " if file.is_test else ""
        yield file.finding(line, "layers",
                           f"{where}{layer.folder} may not include {folder} (\"{target}\")")


def check_cmake(file, layers):
    """The libraries that a folder links agree with what it may include.

    A name that is no folder is a library of others; code of a pure folder links none.
    """
    if file.name != "CMakeLists.txt":
        return
    layer = layers.get(layer_of(file.path.rsplit("/", 1)[0] if "/" in file.path else ""))
    for match in FOLDER_CALL.finditer(file.text) if layer else ():
        line = file.text.count("\n", 0, match.start()) + 1
        for keyword, name in _dependencies(match.group(1).split()):
            candidates = [folder for folder in layers
                          if name in (folder.replace("/", "_"), folder.rsplit("/", 1)[-1])]
            in_test = keyword == "TEST_DEPS"
            foreign = not candidates and (in_test or not layer.pure)
            if not foreign and not any(layer.allows(folder, in_test) for folder in candidates):
                yield file.finding(line, "layers",
                                   f"{layer.folder} may not depend on {name} ({keyword})")


def _dependencies(words):
    keyword = ""
    for word in words:
        if word.isupper():
            keyword = word
        elif keyword in ("DEPS", "TEST_DEPS"):
            yield keyword, word
