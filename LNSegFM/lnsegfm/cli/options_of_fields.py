"""Options made from the fields of a dataclass, so that none is forgotten and each default is told."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer


@dataclass(frozen=True)
class Choice:
    """One option.

    Args:
        text: What it means.
        default: Its default.
        kind: Its type; None for that of the default.
        automatic: What its default means, where the value itself says nothing.
        metavar: What stands for its value in the help; None for the type's name.
    """

    text: str
    default: Any
    kind: Any = None
    automatic: str = ""
    metavar: str | None = None

    def parameter(self, name: str) -> tuple[Any, Any]:
        """Return the annotation and the default of the parameter ``name`` of a command."""
        values = self.default if not isinstance(self.default, tuple) else " ".join(map(str, self.default))
        option = typer.Option(
            f"--{name.replace('_', '-')}", help=f"{self.text} [default: {self.automatic or values}]",
            show_default=False, metavar=self.metavar,
        )
        kind = self.kind or type(self.default)
        return Annotated[kind if self.default is not None else kind | None, option], self.default


def with_parameters(parameters: Mapping[str, tuple[Any, Any]]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the parameters that typer makes its options and arguments from.

    Args:
        parameters: Annotation and default by name; an ellipsis as default where there is none.
    """

    def give(command: Callable[..., None]) -> Callable[..., None]:
        command.__annotations__ = {name: kind for name, (kind, _) in parameters.items()}
        command.__signature__ = inspect.Signature([  # type: ignore[attr-defined]
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind,
                              default=inspect.Parameter.empty if default is ... else default)
            for name, (kind, default) in parameters.items()
        ])  # fmt: skip
        return command

    return give
