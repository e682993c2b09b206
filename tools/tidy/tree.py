# SPDX-License-Identifier: Apache-2.0
"""The files of the tree as values: where each lies, what kind it is, its text."""
import dataclasses
import functools
import os
import pathlib

SKIPPED_FOLDERS = {".git", "build", "data", "gen", "node_modules", "__pycache__", ".venv"}
SKIPPED_PREFIXES = ("cmake-build-",)


@dataclasses.dataclass(frozen=True, order=True)
class Finding:
    """One broken rule, printed as a compiler prints an error."""

    path: str
    line: int
    rule: str
    message: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.message} [{self.rule}]"


class File:
    """A file; paths are relative to the root, with forward slashes."""

    def __init__(self, root, path):
        self.path = path
        self.name = path.rsplit("/", 1)[-1]
        self.suffix = pathlib.PurePosixPath(path).suffix
        self.stem = self.name[: len(self.name) - len(self.suffix)]
        self.folder = layer_of(path.rsplit("/", 1)[0] if "/" in path else "")
        self._full = pathlib.Path(root) / path

    @functools.cached_property
    def text(self):
        return self._full.read_text(encoding="utf-8", errors="replace")

    @functools.cached_property
    def lines(self):
        return self.text.splitlines()

    @property
    def is_cpp(self):
        return self.suffix in (".h", ".cc")

    @property
    def is_header(self):
        return self.suffix == ".h"

    @property
    def is_test(self):
        """Only a test file may include what the table's last column lists."""
        return self.is_cpp and self.stem.endswith("_test") or (
            self.suffix == ".py" and (self.stem.endswith("_test") or self.stem.startswith("test_"))
        )

    @property
    def is_bench(self):
        """A micro bench beside the code: an executable of its own, in no library."""
        return self.suffix == ".cc" and self.stem.endswith("_bench")

    @property
    def is_transcript(self):
        return self.suffix == ".txt" and "/testdata/" in self.path

    @property
    def is_python(self):
        return self.suffix == ".py" or (not self.suffix and self._shebang_has("python"))

    @property
    def is_shell(self):
        return self.suffix == ".sh" or (not self.suffix and self._shebang_has("sh"))

    def _shebang_has(self, word):
        first = self.lines[0] if self.lines else ""
        return first.startswith("#!") and word in first.split("/")[-1].split(" ")[-1]

    def finding(self, line, rule, message):
        return Finding(self.path, line, rule, message)


def layer_of(directory):
    """The name that the layer table and an #include use for a directory of the tree."""
    if directory.startswith("src/"):
        return directory[len("src/"):]
    return directory


def all_files(root):
    """Every file of the tree in order of path, without what is built, generated or fetched."""
    found = []
    for directory, folders, names in os.walk(root):
        folders[:] = [f for f in folders
                      if f not in SKIPPED_FOLDERS and not f.startswith(SKIPPED_PREFIXES)]
        relative = pathlib.Path(directory).relative_to(root).as_posix()
        prefix = "" if relative == "." else relative + "/"
        found.extend(prefix + name for name in names)
    return [File(root, path) for path in sorted(found)]
