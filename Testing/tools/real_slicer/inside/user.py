"""The user of a real Slicer, with the methods of the stand-in's `preview.user.User`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import qt
import slicer

from real_slicer.inside.keys import press
from real_slicer.inside.steps import Steps, expect


class Application:
    """What the stand-in's App offers, done by the widgets' own methods.

    Args:
        steps: Waits and takes pictures.

    Attributes:
        answers: What file dialogs return, next first; see `FileDialogs`.
    """

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self.answers: deque[str] = deque()

    def select_module(self, name: str) -> None:
        """Switch to a module."""
        slicer.util.selectModule(name)
        self.process_events()

    def process_events(self, seconds: float = 0.0) -> None:
        """Run the event loop once, or for a while."""
        slicer.app.processEvents()
        if seconds:
            self._steps.pause(seconds)

    def wait_until(self, condition: Callable[[], Any], timeout_s: float, what: str) -> None:
        """Run the event loop until the condition holds."""
        self._steps.until(condition, what, timeout_s)

    def type_text(self, widget: Any, text: str) -> None:
        """Set the value of a spin box."""
        expect(widget.enabled, f"Expected {widget.objectName} to be enabled.")
        widget.value = type(widget.value)(text)
        self.process_events()

    def select_row(self, table: Any, row: int, column: int = 0) -> None:
        """Choose a cell of a table."""
        table.setCurrentCell(row, column)
        self.process_events()

    def choose(self, box: Any, text: str) -> None:
        """Choose an entry of a combo box by its text; of a node selector by the node's name, or make a new node."""
        if hasattr(box, "setCurrentNode"):
            self._choose_node(box, text)
        else:
            index = box.findText(text)
            expect(index >= 0, f"Expected {box.objectName} to have the entry {text}.")
            box.setCurrentIndex(index)
        self.process_events()

    def _choose_node(self, selector: Any, text: str) -> None:
        if text.startswith("Create new"):
            selector.addNode()
            return
        node = slicer.mrmlScene.GetFirstNodeByName(text)
        expect(node is not None, f"Expected a node with the name {text} in the scene.")
        selector.setCurrentNode(node)


class User:
    """Somebody in front of Slicer.

    Args:
        steps: Waits and takes pictures.
    """

    def __init__(self, steps: Steps) -> None:
        self.app = Application(steps)
        self._steps = steps

    def click(self, button: Any) -> None:
        """Click a button as soon as it is enabled."""
        self.until(lambda: button.enabled, f"{button.objectName} to be enabled")
        button.click()
        self.app.process_events()

    def open(self, *sections: Any) -> None:
        """Expand collapsed sections, the outer one first."""
        for section in sections:
            section.collapsed = False
        self.app.process_events()

    def close(self, *sections: Any) -> None:
        """Collapse sections."""
        for section in sections:
            section.collapsed = True
        self.app.process_events()

    def choose_data(self, box: Any, data: Any) -> None:
        """Choose the entry of a combo box that stands for a value."""
        index = box.findData(data)
        expect(index >= 0, f"Expected {box.objectName} to have an entry for {data}.")
        box.setCurrentIndex(index)
        self.app.process_events()

    def choose_in_tree(self, tree: Any, text: str) -> None:
        """Choose the first row of a tree whose first cell contains a text."""
        found = tree.findItems(text, qt.Qt.MatchContains | qt.Qt.MatchRecursive, 0)
        expect(len(found), f"Expected {tree.objectName} to list {text}.")
        tree.setCurrentItem(found[0])
        self.app.process_events()

    def choose_in_menu(self, button: Any, text: str) -> None:
        """Choose the first entry of a button's menu that contains a text."""
        actions = [action for action in button.menu().actions() if text in action.text]
        expect(len(actions), f"Expected an entry '{text}' in the menu of {button.objectName}.")
        actions[0].trigger()
        self.app.process_events()

    def press(self, widget: Any, key: str) -> None:
        """Press a key with the focus in a widget."""
        press(widget, key)

    def scroll_to(self, widget: Any) -> None:
        """Scroll the panel until a widget is seen."""
        self.app.process_events()
        area = widget.parentWidget()
        while area is not None and not area.inherits("QScrollArea"):
            area = area.parentWidget()
        if area is not None:
            area.ensureWidgetVisible(widget)

    def until(self, condition: Callable[[], Any], what: str) -> None:
        """Wait for something."""
        self._steps.until(condition, what)


class FileDialogs:
    """Stands in for qt.QFileDialog: its functions return the next answer instead of asking.

    Args:
        answers: The answers, next first; none left means cancelled.
    """

    def __init__(self, answers: deque[str]) -> None:
        self._answers = answers
        self.getSaveFileName = self.getOpenFileName = self.getExistingDirectory = self._answer

    def _answer(self, *_arguments: Any) -> str:
        return self._answers.popleft() if self._answers else ""


class Pictures:
    """The record of the day, with the methods of `preview.book.Book`; each step is one of the report.

    Args:
        user: Who sees it.
        steps: Gets the pictures.
    """

    def __init__(self, user: User, steps: Steps) -> None:
        self.seen: dict[str, dict[str, Any]] = {}
        self.pictures: dict[str, str] = {}
        self._user, self._steps = user, steps

    def step(self, name: str, top: Any, **seen: Any) -> None:
        """Write a step down and take its picture."""
        self._user.scroll_to(top)
        self._user.app.process_events(1.0)
        self.note(name, **seen)
        self._steps.done(name, name.replace("-", " ").capitalize())

    def sections(self, name: str) -> None:
        """Take no pictures of whole panels: the walk has them at all widths."""

    def note(self, name: str, **seen: Any) -> None:
        """Write a step down without a picture."""
        self.seen[name] = seen
