"""The module `ctk`: the CTK widgets that scripted modules use most, as Python widgets."""

from __future__ import annotations

import types
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, Signal

from .ctk_collapsible import ctkCollapsibleButton
from .ctk_paths import ctkDirectoryButton, ctkPathLineEdit


class ctkCollapsibleGroupBox(QtWidgets.QGroupBox):
    """A group box whose check box hides the contents."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.setCheckable(True)
        self.setChecked(True)
        self.toggled.connect(self._on_toggled)

    def _on_toggled(self, expanded: bool) -> None:
        self.setMaximumHeight(16777215 if expanded else self.fontMetrics().height() + 8)

    def setCollapsed(self, collapsed: bool) -> None:
        """Hide or show the contents."""
        self.setChecked(not collapsed)

    collapsed = Property(bool, lambda self: not self.checked, setCollapsed)


class ctkSliderWidget(QtWidgets.QWidget):
    """A slider with a spin box for real numbers."""

    valueChanged = Signal(float)
    _STEPS = 1000

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
        self._slider.setRange(0, self._STEPS)
        self._spin = QtWidgets.QDoubleSpinBox()
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider, 1)
        layout.addWidget(self._spin)
        self._slider.valueChanged.connect(self._on_slider)
        self._spin.valueChanged.connect(self._on_spin)

    def _on_slider(self, step: int) -> None:
        if self._slider.hasFocus() or self._slider.isSliderDown():
            self._spin.setValue(self.minimum + (self.maximum - self.minimum) * step / self._STEPS)

    def _on_spin(self, value: float) -> None:
        span = self.maximum - self.minimum
        self._slider.setValue(round(self._STEPS * (value - self.minimum) / span) if span else 0)
        self.valueChanged.emit(value)

    def _set(self, name: str, value: Any) -> None:
        self._spin.setProperty(name, value)

    def setValue(self, value: float) -> None:
        """Set the value, clipped to the range."""
        self._spin.setValue(value)

    value = Property(float, lambda self: self._spin.value, setValue)
    minimum = Property(float, lambda self: self._spin.minimum, lambda self, v: self._set("minimum", v))
    maximum = Property(float, lambda self: self._spin.maximum, lambda self, v: self._set("maximum", v))
    singleStep = Property(float, lambda self: self._spin.singleStep, lambda self, v: self._set("singleStep", v))
    decimals = Property(int, lambda self: self._spin.decimals, lambda self, v: self._set("decimals", v))
    prefix = Property(str, lambda self: self._spin.prefix, lambda self, v: self._set("prefix", v))
    suffix = Property(str, lambda self: self._spin.suffix, lambda self, v: self._set("suffix", v))


class ctkDoubleSpinBox(QtWidgets.QDoubleSpinBox):
    """CTK's spin box for real numbers."""


class ctkComboBox(QtWidgets.QComboBox):
    """CTK's combo box."""

    NeverScroll, AlwaysScroll, ScrollWithFocus = range(3)
    _wheel = AlwaysScroll

    def _set_wheel(self, effect: int) -> None:
        self._wheel = effect

    def wheelEvent(self, event: QtGui.QWheelEvent) -> None:
        if self._wheel == self.NeverScroll:
            event.ignore()
        else:
            super().wheelEvent(event)

    scrollWheelEffect = Property(int, lambda self: self._wheel, _set_wheel)

    def _set_default_text(self, text: str) -> None:
        self.setPlaceholderText(text)

    defaultText = Property(str, lambda self: self.placeholderText, _set_default_text)


class ctkFittedTextBrowser(QtWidgets.QTextBrowser):
    """CTK's text browser."""


class ctkMessageBox(QtWidgets.QMessageBox):
    """CTK's message box."""


WIDGETS: dict[str, type] = {
    cls.__name__: cls
    for cls in (
        ctkCollapsibleButton,
        ctkCollapsibleGroupBox,
        ctkComboBox,
        ctkDirectoryButton,
        ctkDoubleSpinBox,
        ctkFittedTextBrowser,
        ctkMessageBox,
        ctkPathLineEdit,
        ctkSliderWidget,
    )
}


def build() -> types.ModuleType:
    """Return the module `ctk`."""
    module = types.ModuleType("ctk", "The CTK widgets of the stand-in")
    for name, cls in WIDGETS.items():
        setattr(module, name, cls)
    return module
