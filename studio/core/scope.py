"""Which nodes of a model a step may touch."""

from __future__ import annotations

from fnmatch import fnmatchcase

from studio.core.frozen import Frozen


class Scope(Frozen):
    """A selection of nodes by name, operator or pattern; the empty scope selects all.

    A node is selected when any of `names`, `operators` or `patterns` selects it (or all three are
    empty) and none of `exclude` matches its name or operator.
    """

    names: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @property
    def everything(self) -> bool:
        """Whether no node is left out."""
        return not (self.names or self.operators or self.patterns or self.exclude)

    def selects(self, name: str, operator: str) -> bool:
        """Say whether the node `name` with this operator (such as ``"Conv"``) is in the scope.

        Patterns are case-sensitive globs (``*``, ``?``, ``[...]``) over the node's name.
        """
        if any(fnmatchcase(name, glob) or operator == glob for glob in self.exclude):
            return False
        if not (self.names or self.operators or self.patterns):
            return True
        return (
            name in self.names or operator in self.operators or any(fnmatchcase(name, glob) for glob in self.patterns)
        )
