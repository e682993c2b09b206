# SPDX-License-Identifier: Apache-2.0
"""Just enough C++: tokens without comments, strings and directives; scopes; functions.

This is no compiler. It knows the shapes that STYLE.md allows and errs towards silence on others.
"""
import bisect
import dataclasses
import re

TOKEN = re.compile(
    r"""
    (?P<comment>//[^\n]*|/\*.*?\*/)
  | (?P<raw>(?:u8|[uUL])?R"(?P<mark>[^(\s]*)\(.*?\)(?P=mark)")
  | (?P<string>(?:u8|[uUL])?"(?:\\.|[^"\\\n])*")
  | (?P<number>\.?\d(?:[eEpP][+-]|'?[\w.])*)
  | (?P<char>(?:u8|[uUL])?'(?:\\.|[^'\\\n])+')
  | (?P<directive>(?m:^[ \t]*)\#(?:\\\n|//[^\n]*|[^\n])*)
  | (?P<word>[A-Za-z_]\w*)
  | (?P<sign>::|->|<=>|==|!=|<=|>=|&&|\|\||\+\+|--|[{}()\[\];:,<>=&*+\-/%!?.~^|@\\])
    """,
    re.VERBOSE | re.DOTALL,
)
OPEN = {"(": ")", "[": "]", "{": "}"}
CONTROL = {"if", "for", "while", "switch", "catch", "constexpr"}
NOT_A_NAME = {"decltype", "noexcept", "alignas", "explicit", "requires", "sizeof", "__attribute__",
              "static_assert", "return", "throw", "new", "co_return", "co_await", "void"}


@dataclasses.dataclass(frozen=True)
class Token:
    text: str
    line: int


@dataclasses.dataclass(frozen=True)
class Function:
    """A function or lambda; a declaration has no last line and no depth."""

    name: str
    first_line: int
    last_line: int
    parameters: int
    depth: int


def tokens_of(text):
    """Code tokens; only the first branch of an #if counts, so that braces stay balanced."""
    starts = [0] + [match.end() for match in re.finditer("\n", text)]
    tokens, hidden = [], []
    for match in TOKEN.finditer(text):
        kind = match.lastgroup if match.lastgroup != "mark" else "raw"
        if kind == "directive":
            _follow_directive(match.group().strip(), hidden)
        elif kind != "comment" and not any(hidden):
            value = '""' if kind in ("raw", "string", "char") else match.group()
            tokens.append(Token(value, bisect.bisect_right(starts, match.start())))
    return tokens


def _follow_directive(directive, hidden):
    name = re.match(r"#\s*(\w*)", directive).group(1)
    if name in ("if", "ifdef", "ifndef"):
        hidden.append(False)
    elif name in ("else", "elif") and hidden:
        hidden[-1] = True
    elif name == "endif" and hidden:
        hidden.pop()


def without_comments(text):
    """The text with comments, strings and characters blanked; lines and columns stay."""
    def blank(match):
        if match.lastgroup in ("comment", "raw", "mark", "string", "char"):
            return re.sub(r"[^\n]", " ", match.group())
        return match.group()
    return TOKEN.sub(blank, text)


def functions_of(text):
    return _Scanner(tokens_of(text)).scan()


class _Scanner:
    """Walks the tokens once, with a stack of open braces.

    Each brace opens a scope: "space" (namespace, class: statements inside are declarations),
    "function", "lambda", "block" (counts as nesting) or "value" (an initializer).
    """

    def __init__(self, tokens):
        self._tokens = tokens
        self._match = _matching(tokens)
        self._found = []

    def scan(self):
        self._scan_space(0, len(self._tokens))
        return sorted(self._found, key=lambda function: function.first_line)

    def _scan_space(self, begin, end):
        """Declarations between two positions: each ends in ';' or in a body."""
        start = at = begin
        while at < end:
            text = self._tokens[at].text
            if text == ";":
                self._declaration(start, at)
                start = at = at + 1
            elif text == "{":
                at, ended = self._open_in_space(start, at)
                start = at if ended else start
            elif text in OPEN:
                at = self._match[at] + 1
            elif text == ":" and self._is_label(start, at):
                start = at = at + 1
            else:
                at += 1

    def _is_label(self, start, at):
        return at == start + 1 and self._tokens[start].text in ("public", "private", "protected")

    def _open_in_space(self, start, at):
        """Handles the brace at `at`; returns where to go on, and whether the statement ended."""
        close = self._match[at]
        head = [token.text for token in self._tokens[start:at]]
        parameters = self._parameter_list(start, at)
        if parameters is None:
            if self._opens_space(head):
                self._scan_space(at + 1, close)
                return close + 1, head[:1] in (["namespace"], ["inline"], ["extern"])
            return close + 1, False
        if self._is_member_initializer(parameters, at):
            return close + 1, False
        self._body(start, at, parameters)
        return close + 1, True

    @staticmethod
    def _opens_space(head):
        words = _skip_template(head)
        return any(word in words for word in ("namespace", "class", "struct", "union", "extern")) \
            and "=" not in words and "enum" not in words

    def _is_member_initializer(self, parameters, at):
        """In `Foo(int a) : a_{a} {` the first brace follows a name, the body's follows ) or }."""
        between = [token.text for token in self._tokens[self._match[parameters] + 1:at]]
        return ":" in between and between[-1] not in (")", "}")

    def _body(self, start, at, parameters):
        close = self._match[at]
        depth = self._scan_body(at + 1, close, 0, "function")
        self._found.append(Function(
            self._tokens[parameters - 1].text, self._tokens[start].line,
            self._tokens[close].line, self._count(parameters), depth))

    def _declaration(self, start, end):
        head = [token.text for token in self._tokens[start:end]]
        words = _skip_template(head)
        if not words or words[0] in ("using", "typedef", "static_assert", "friend", "extern"):
            return
        if "=" in words and "(" in words and words.index("=") < words.index("("):
            return
        parameters = self._parameter_list(start, end)
        if parameters is not None:
            line = self._tokens[start].line
            self._found.append(Function(self._tokens[parameters - 1].text, line, line,
                                        self._count(parameters), 0))

    def _parameter_list(self, start, end):
        """Position of the '(' that opens the parameters of the function declared here."""
        at = start
        while at < end:
            text = self._tokens[at].text
            if text == "operator":
                at += 3 if self._tokens[at + 1].text in ("(", "[") else 2
                while at < end and self._tokens[at].text != "(":
                    at += 1
                return at if at < end else None
            if text == "=":
                return None
            if text == "<":
                at = self._skip_angles(at, end)
            elif text == "{":
                at = self._match[at] + 1
            elif text == "(":
                before = self._tokens[at - 1].text if at > start else ""
                if re.match(r"[A-Za-z_]", before) and before not in NOT_A_NAME:
                    return at
                at = self._match[at] + 1
            else:
                at += 1
        return None

    def _skip_angles(self, at, end):
        depth = 0
        for position in range(at, end):
            text = self._tokens[position].text
            depth += (text == "<") - (text == ">")
            if depth == 0:
                return position + 1
        return at + 1

    def _count(self, opening):
        """Parameters between the parentheses: commas outside any bracket, plus one."""
        close = self._match[opening]
        inside = [token.text for token in self._tokens[opening + 1:close]]
        if not inside or inside == ["void"]:
            return 0
        depth = commas = 0
        for text in inside:
            depth += (text in "([{<") - (text in ")]}>")
            commas += text == "," and depth == 0
        return commas + 1

    def _scan_body(self, begin, end, depth, outer):
        """Deepest nesting between two positions of a body of the kind `outer` at `depth`."""
        deepest = depth
        at = begin
        while at < end:
            if self._tokens[at].text != "{":
                at += 1
                continue
            close = self._match[at]
            kind = self._kind_in_value(at) if outer == "value" else self._kind_in_body(at)
            if kind == "space":
                self._scan_space(at + 1, close)
            else:
                inner = depth + (kind != "value")
                deepest = max(deepest, self._scan_body(at + 1, close, inner, kind))
            at = close + 1
        return deepest

    def _kind_in_value(self, at):
        return "value" if self._tokens[at - 1].text in ("{", "}", ":") else self._kind_in_body(at)

    def _kind_in_body(self, at):
        before = self._tokens[at - 1].text
        if before in ("else", "do", "try", ";", "{", "}", ":"):
            return "block"
        if before == ")":
            return self._kind_after_parenthesis(at)
        if before in ("]", "mutable", "noexcept"):
            return "lambda"
        if before == ">" or re.match(r"\w", before) or before in "&*":
            return self._kind_after_word(at)
        return "value"

    def _kind_after_parenthesis(self, at):
        opening = self._match[at - 1]
        word = self._tokens[opening - 1].text
        if word in CONTROL:
            return "block"
        if word == "]":
            self._lambda(opening, at)
            return "lambda"
        # A macro that is followed by a block, or noexcept(...) of a lambda; both nest.
        return "block"

    def _kind_after_word(self, at):
        """A local type, a lambda with a trailing return type, or a value such as Point{1, 2}."""
        position = at - 1
        while position > 0 and self._tokens[position].text not in (";", "{", "}", "("):
            text = self._tokens[position].text
            if text == "->" and self._tokens[position - 1].text in (")", "]", "mutable"):
                return "lambda"
            if text in ("struct", "class", "union"):
                return "space"
            position -= 1
        return "value"

    def _lambda(self, opening, at):
        close = self._match[at]
        self._found.append(Function("lambda", self._tokens[opening].line,
                                    self._tokens[close].line, self._count(opening), 0))


def _matching(tokens):
    """Position of the other bracket of each pair; an open end matches the last token."""
    match, stack = {}, []
    for at, token in enumerate(tokens):
        if token.text in OPEN:
            stack.append(at)
        elif token.text in OPEN.values():
            while stack and OPEN[tokens[stack[-1]].text] != token.text:
                match[stack.pop()] = at
            if stack:
                match[at] = stack[-1]
                match[stack.pop()] = at
    for at in stack:
        match[at] = len(tokens) - 1
    return match


def _skip_template(words):
    """The words of a declaration without `template <...>` and attributes in front."""
    while words[:1] == ["template"]:
        depth = 0
        for at, word in enumerate(words):
            depth += (word == "<") - (word == ">")
            if word == ">" and depth == 0:
                words = words[at + 1:]
                break
        else:
            return words
    return words
