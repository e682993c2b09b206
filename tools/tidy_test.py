# SPDX-License-Identifier: Apache-2.0
"""Tidy must bite: small trees with one fault each, and a clean one that passes."""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from tidy import check, cpp  # noqa: E402  (the path must be set first)

LICENCE = "// SPDX-License-Identifier: Apache-2.0\n"
TABLE = """# Architecture
| folder | may include | tests also | kind |
|---|---|---|---|
| `base/` | (nothing) | testing | pure |
| `env/` | base | | interfaces |
| `raft/` | base | testing | pure |
| `node/` | base, env, raft, service/* | testing | I/O |
| `service/kv/` | base | testing | pure |
| `testing/` | base | | tests only |
| `include/quorate/` | base | | public |
"""
HEADER = LICENCE + "// A thing.\n#pragma once\n\n"
CLEAN = {
    "ARCHITECTURE.md": TABLE,
    "src/base/ids.h": HEADER + "#include <cstdint>\n\nnamespace quorate { struct Id {}; }\n",
    "src/env/clock.h": HEADER + "#include \"base/ids.h\"\n",
    "src/raft/log.h": HEADER + "#include \"base/ids.h\"\n\nclass Log {};\n",
    "src/raft/log.cc": LICENCE + "#include \"raft/log.h\"\n",
    "src/raft/log_test.cc": LICENCE + "#include <gtest/gtest.h>\n#include \"raft/log.h\"\n"
                                      "#include \"testing/script.h\"\n\n"
                                      "TEST(log, a_gap_is_refused) { check(); }\n",
    "src/raft/log_bench.cc": LICENCE + "#include <benchmark/benchmark.h>\n"
                                       "#include \"raft/log.h\"\n\ndouble seconds();\n",
    "src/raft/CMakeLists.txt": "quorate_folder(NAME raft DEPS base TEST_DEPS testing)\n",
    "src/node/node.cc": LICENCE + "#include \"raft/log.h\"\n#include \"service/kv/state.h\"\n",
    "src/service/kv/state.h": HEADER + "#include \"base/ids.h\"\n",
    "src/service/kv/CMakeLists.txt": "quorate_folder(NAME service_kv DEPS base)\n",
    "src/testing/script.h": HEADER,
}


def nested(levels):
    opening = "".join("if (a) {\n" for _ in range(levels))
    return LICENCE + "void f(bool a) {\n" + opening + "g();\n" + "}\n" * levels + "}\n"


def long_function(lines):
    return LICENCE + "void f() {\n" + "  g();\n" * (lines - 2) + "}\n"


# Title of the fault, the file that has it, its text, and what tidy must say about it.
FAULTS = [
    ("raft includes env", "src/raft/log.cc", LICENCE + '#include "env/clock.h"\n',
     "src/raft/log.cc:2: raft may not include env (\"env/clock.h\") [layers]"),
    ("base includes raft", "src/base/ids.cc", LICENCE + '#include "raft/log.h"\n',
     "src/base/ids.cc:2: base may not include raft (\"raft/log.h\") [layers]"),
    ("code includes what is for tests", "src/raft/log.cc",
     LICENCE + '#include "testing/script.h"\n',
     "src/raft/log.cc:2: raft may not include testing (\"testing/script.h\") [layers]"),
    ("a test includes a foreign layer", "src/raft/log_test.cc",
     LICENCE + '#include "node/node.h"\n',
     "src/raft/log_test.cc:2: tests of raft may not include node (\"node/node.h\") [layers]"),
    ("an include by a short name", "src/raft/log.cc", LICENCE + '#include "log.h"\n',
     "src/raft/log.cc:2: \"log.h\": name the path from src/ [layers]"),
    ("an include by a path upwards", "src/raft/log.cc", LICENCE + '#include "../env/clock.h"\n',
     "src/raft/log.cc:2: \"../env/clock.h\": name the path from src/ [layers]"),
    ("an include with odd blanks", "src/raft/log.cc", LICENCE + ' #  include "env/clock.h"\n',
     "src/raft/log.cc:2: raft may not include env (\"env/clock.h\") [layers]"),
    ("a folder that no row has", "src/gossip/gossip.cc", LICENCE,
     "src/gossip/gossip.cc:1: the layer table has no row for gossip [layers]"),
    ("a public header that shows an inner layer", "include/quorate/store.h",
     HEADER + '#include "node/node.h"\n',
     "include/quorate/store.h:5: include/quorate may not include node (\"node/node.h\") [layers]"),
    ("an inner layer that includes the public face", "src/raft/log.cc",
     LICENCE + '#include "quorate/store.h"\n',
     "src/raft/log.cc:2: raft may not include include/quorate (\"quorate/store.h\") [layers]"),
    ("a library that the table forbids", "src/raft/CMakeLists.txt",
     "quorate_folder(NAME raft\n  DEPS base env)\n",
     "src/raft/CMakeLists.txt:1: raft may not depend on env (DEPS) [layers]"),
    ("a library by the last word of its folder", "src/raft/CMakeLists.txt",
     "quorate_folder(NAME raft DEPS base kv)\n",
     "src/raft/CMakeLists.txt:1: raft may not depend on kv (DEPS) [layers]"),
    ("a library of others in a pure folder", "src/raft/CMakeLists.txt",
     "quorate_folder(NAME raft DEPS base asio)\n",
     "src/raft/CMakeLists.txt:1: raft may not depend on asio (DEPS) [layers]"),
    ("a test library as a plain one", "src/raft/CMakeLists.txt",
     "quorate_folder(NAME raft DEPS base testing)\n",
     "src/raft/CMakeLists.txt:1: raft may not depend on testing (DEPS) [layers]"),
    ("no layer table", "ARCHITECTURE.md", "# Architecture\n",
     "ARCHITECTURE.md:1: the layer table is missing [layers]"),

    ("a clock in a pure folder", "src/raft/log.cc", LICENCE + "#include <chrono>\n",
     "src/raft/log.cc:2: <chrono> in a pure folder [pure]"),
    ("a thread in a pure folder", "src/service/kv/state.cc", LICENCE + "#include <thread>\n",
     "src/service/kv/state.cc:2: <thread> in a pure folder [pure]"),
    ("an atomic in a pure folder", "src/base/ids.cc", LICENCE + "#include <atomic>\n",
     "src/base/ids.cc:2: <atomic> in a pure folder [pure]"),
    ("a socket in a pure folder", "src/raft/log.cc", LICENCE + "#include <sys/socket.h>\n",
     "src/raft/log.cc:2: <sys/socket.h> is not the C++ library's [pure]"),
    ("system_clock in a pure folder", "src/raft/log.cc",
     LICENCE + "auto f() { return std::chrono::system_clock::now(); }\n",
     "src/raft/log.cc:2: a clock in a pure folder [pure]"),
    ("floating point in a machine", "src/service/kv/state.h",
     HEADER + "struct S { double load; };\n",
     "src/service/kv/state.h:5: floating point in a pure folder [pure]"),
    ("a pointer as a key", "src/raft/log.h", HEADER + "std::map<const Peer*, int> peers;\n",
     "src/raft/log.h:5: a pointer as a key in a pure folder [pure]"),
    ("thread_local in a pure folder", "src/raft/log.cc", LICENCE + "thread_local int x;\n",
     "src/raft/log.cc:2: a global in a pure folder [pure]"),
    ("the environment in a pure folder", "src/raft/log.cc",
     LICENCE + 'auto x = std::getenv("A");\n',
     "src/raft/log.cc:2: the world outside in a pure folder [pure]"),

    ("a function of 71 lines", "src/node/node.cc", long_function(71),
     "src/node/node.cc:2: f has 71 lines > 70 [size]"),
    ("five levels of nesting", "src/node/node.cc", nested(5),
     "src/node/node.cc:2: f has 5 levels of nesting > 4 [size]"),
    ("six parameters", "src/node/node.cc",
     LICENCE + "void f(int a, int b, std::map<int, int> c, int d, int e, int g) {}\n",
     "src/node/node.cc:2: f has 6 parameters > 5 [size]"),
    ("six parameters of a declaration", "src/node/node.h",
     HEADER + "class A {\n public:\n  void f(int a, int b, int c, int d, int e, int g);\n};\n",
     "src/node/node.h:7: f has 6 parameters > 5 [size]"),
    ("six parameters of a lambda", "src/node/node.cc",
     LICENCE + "void f() {\n"
               "  auto g = [](int a, int b, int c, int d, int e, int h) { return a; };\n}\n",
     "src/node/node.cc:3: lambda has 6 parameters > 5 [size]"),
    ("a source file of 601 lines", "src/node/node.cc", LICENCE + "\n" * 600,
     "src/node/node.cc:1: 601 lines > 600 [size]"),
    ("a header of 301 lines", "src/node/node.h", HEADER + "int a;\n" * 299,
     "src/node/node.h:1: 301 lines without comments > 300 [size]"),
    ("a test file of 801 lines", "src/node/node_test.cc", LICENCE + "\n" * 800,
     "src/node/node_test.cc:1: 801 lines > 800 [size]"),
    ("a transcript of 201 lines", "src/raft/testdata/vote.txt", "\n" * 201,
     "src/raft/testdata/vote.txt:1: 201 lines > 200 [size]"),
    ("a line of 101 columns", "src/node/node.cc", LICENCE + "//" + "x" * 99 + "\n",
     "src/node/node.cc:2: 101 columns > 100 [size]"),
    ("a README of 151 lines", "README.md", "\n" * 151, "README.md:1: 151 lines > 150 [size]"),
    ("a long function in Python", "tools/x.py",
     LICENCE.replace("//", "#") + "def f():\n" + "    g()\n" * 70,
     "tools/x.py:2: f has 71 lines > 70 [size]"),

    ("no licence", "src/node/node.cc", "int a;\n",
     "src/node/node.cc:1: the first line must be: " + LICENCE.strip() + " [opening]"),
    ("no licence in a script", "tools/x.py", "a = 1\n",
     "tools/x.py:1: the first line must be: # SPDX-License-Identifier: Apache-2.0 [opening]"),
    ("no pragma once", "src/node/node.h", LICENCE + "// A thing.\n",
     "src/node/node.h:1: #pragma once is missing [opening]"),
    ("a header that does not say what it is", "src/node/node.h", LICENCE + "#pragma once\n",
     "src/node/node.h:2: a header says what it is, below the licence line [opening]"),
    ("a Manager", "src/node/node.h", HEADER + "class GroupManager {};\n",
     "src/node/node.h:5: GroupManager: a name that says nothing [names]"),
    ("a Data", "src/node/node.h", HEADER + "struct GroupData {};\n",
     "src/node/node.h:5: GroupData: a name that says nothing [names]"),
    ("a util file", "src/node/util.h", HEADER,
     "src/node/util.h:1: util.h: a name that says nothing [names]"),
    ("a test that is no sentence", "src/node/node_test.cc", LICENCE + "TEST(node, StartsUp) {}\n",
     "src/node/node_test.cc:2: StartsUp: a test is a sentence in snake_case [names]"),
    ("something unfinished", "src/node/node.cc", LICENCE + "// TO" "DO: finish\n",
     "src/node/node.cc:2: TO" "DO: finish it or leave it out [names]"),
    ("a link that leads nowhere", "docs/a.md", "See [b](b.md#part).\n",
     "docs/a.md:1: b.md#part leads nowhere [links]"),
]

ITERATED = "struct S { std::unordered_map<Id, std::vector<int>> peers_; };\n"
ORDER_FAULTS = [
    "for (const auto& [id, p] : peers_) use(p);",
    "for (auto& entry : state.peers_) {\n}",
    "for (auto& entry :\n     this->peers_) {\n}",
    "auto first = peers_.begin();",
    "std::sort(peers_.cbegin(), x);",
]

# Shapes that must be understood and are no fault.
INNOCENT = [
    ("five parameters",
     "void f(int a, int b, int c, int d, std::map<int, std::pair<int, int>> e) {}"),
    ("four levels", nested(4)[len(LICENCE):]),
    ("a function of 70 lines", long_function(70)[len(LICENCE):]),
    ("else-if chains do not nest",
     "void f() {\n" + "if (a) {\n} else " * 9 + "if (b) {\n}\n}\n"),
    ("initializers do not nest", "void f() { A a{{{{{{1}}}}}}; g({{{{{1}}}}}); }"),
    ("a table of many rows", "const Row kRows[] = {\n" + "    {1, 2, 3, 4, 5, 6},\n" * 90 + "};\n"),
    ("banned words in a comment", "// std::mutex, TEST(a, B), GroupManager, class GroupData\n"),
    ("member initializers are no bodies",
     "A::A(int a)\n    : a_{a}, b_(a), c_{1, 2, 3, 4, 5, 6, 7} {\n}\n"),
    ("braces in strings", 'auto a = "{{{{{{{";\nauto b = R"x(}}}")x";\nauto c = \'{\';\n'),
    ("both branches of a condition",
     "void f() {\n#if A\n  if (a) {\n#else\n  if (b) {\n#endif\n  }\n}\n"),
]


class Tidy(unittest.TestCase):
    def findings(self, changes):
        """What tidy says about the clean tree with these files replaced (None: removed)."""
        with tempfile.TemporaryDirectory() as root:
            for path, text in (CLEAN | changes).items():
                if text is None:
                    continue
                target = pathlib.Path(root) / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
            findings, files = check.inspect(root)
            self.assertGreater(files, 0)
            return [str(finding) for finding in findings]

    def test_a_clean_tree_passes(self):
        self.assertEqual(self.findings({}), [])

    def test_each_fault_is_found_and_nothing_else(self):
        for title, path, text, expected in FAULTS:
            with self.subTest(title):
                found = self.findings({path: text})
                if title == "no layer table":
                    self.assertIn(expected, found)
                else:
                    self.assertEqual(found, [expected])

    def test_iterating_an_unordered_container_is_found_across_the_file_pair(self):
        for code in ORDER_FAULTS:
            with self.subTest(code):
                found = self.findings({"src/raft/log.h": HEADER + ITERATED,
                                       "src/raft/log.cc": LICENCE + f"void f() {{\n{code}\n}}\n"})
                self.assertEqual(found, ["src/raft/log.cc:3: iterates the unordered container "
                                         "peers_ [pure]"])

    def test_an_alias_of_an_unordered_container_is_seen_through(self):
        alias = HEADER + "using Peers = std::unordered_map<int, int>;\nPeers peers_;\n"
        loop = LICENCE + "void f() { for (auto& peer : peers_) g(peer); }\n"
        found = self.findings({"src/raft/log.h": alias, "src/raft/log.cc": loop})
        self.assertEqual(len(found), 1)

    def test_looking_up_in_an_unordered_container_is_fine(self):
        code = LICENCE + "void f() { if (peers_.find(a) != peers_.end()) g(peers_[a]); }\n"
        self.assertEqual(self.findings({"src/raft/log.h": HEADER + ITERATED,
                                        "src/raft/log.cc": code}), [])

    def test_other_folders_may_link_libraries_of_others(self):
        text = "quorate_folder(NAME node DEPS base raft asio LINK ZLIB::ZLIB)\n"
        self.assertEqual(self.findings({"src/node/CMakeLists.txt": text}), [])

    def test_only_pure_folders_are_poor(self):
        text = LICENCE + "#include <thread>\ndouble load;\n"
        self.assertEqual(self.findings({"src/node/node.cc": text}), [])

    def test_the_readme_of_a_folder_of_docs_leads_to_every_page(self):
        pages = {"docs/formats/README.md": "- [a](a.md)\n", "docs/formats/a.md": "# A\n"}
        self.assertEqual(self.findings(pages), [])
        self.assertEqual(self.findings(pages | {"docs/formats/b.md": "# B\n"}),
                         ["docs/formats/README.md:1: b.md is not in the list [links]"])

    def test_26_source_files_are_too_many_and_tests_do_not_count(self):
        files = {f"src/node/a{i}.cc": LICENCE for i in range(24)}
        tests = {f"src/node/a{i}_test.cc": LICENCE for i in range(9)}
        self.assertEqual(self.findings(files | tests), [])
        self.assertEqual(self.findings(files | {"src/node/z.cc": LICENCE}),
                         ["src/node:1: 26 source files > 25: split it [size]"])

    def test_generated_and_built_files_are_exempt(self):
        self.assertEqual(self.findings({"src/raft/gen/table.cc": "x" * 200,
                                        "build/dev/src/raft/x.cc": "x" * 200}), [])

    def test_innocent_shapes_are_left_alone(self):
        for title, code in INNOCENT:
            with self.subTest(title):
                self.assertEqual(self.findings({"src/node/node.cc": LICENCE + code}), [])

    def test_comments_do_not_count_in_a_header(self):
        text = HEADER + "// Why.\n" * 400 + "int a;\n" * 290
        self.assertEqual(self.findings({"src/node/node.h": text}), [])


class Cpp(unittest.TestCase):
    def names_of(self, code):
        return [(f.name, f.parameters, f.depth) for f in cpp.functions_of(code)]

    def test_functions_are_told_from_types_and_values(self):
        rows = [
            ("int f() { return 1; }", [("f", 0, 0)]),
            ("int f(void);", [("f", 0, 0)]),
            ("namespace a::b {\nclass C : public D {\n public:\n  C(int a) : a_{a} {}\n};\n}",
             [("C", 1, 0)]),
            ("template <class T, int N = 3>\nT f(Array<T, N> a, T b) { return b; }", [("f", 2, 0)]),
            ("bool operator==(const A& a, const A& b) { return true; }", [("==", 2, 0)]),
            ("struct A { void operator()(int a) const { } };", [(")", 1, 0)]),
            ("auto f(int a) -> Result<int> { return a; }", [("f", 1, 0)]),
            ("std::function<void(int, int)> callback_;", []),
            ("static_assert(a, b);", []),
            ("enum class E : int { kA, kB };", []),
            ("TEST(a, b) { if (c) { for (;;) { } } }", [("TEST", 2, 2)]),
            ("void f(Options o = {}, int a = g(1, 2)) { }", [("f", 2, 0)]),
            ("void f() { run([&](int a) { if (a) { } }); }", [("f", 0, 2), ("lambda", 1, 0)]),
            ("void f() { struct Row { int a; void g() { } }; }", [("f", 0, 0), ("g", 0, 0)]),
        ]
        for code, expected in rows:
            with self.subTest(code):
                self.assertEqual(sorted(self.names_of(code)), sorted(expected))

    def test_an_open_end_does_not_stop_the_scan(self):
        for code in ("void f() {", "}}}", "class A { void f(", "(((", "#", '"', "R\"(", "/*"):
            with self.subTest(code):
                cpp.functions_of(code)


if __name__ == "__main__":
    unittest.main()
