"""The module `ctk`: the CTK widgets that scripted modules use most, as Python widgets."""

from __future__ import annotations

import types
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, Signal

from .ctk_paths import ctkDirectoryButton, ctkPathLineEdit


class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """A section with a header; a click on the header hides the contents."""

    contentsCollapsed = Signal(bool)

    def __init__(self, *arguments: Any) -> None:
        texts = [argument for argument in arguments if isinstance(argument, str)]
        super().__init__(*[argument for argument in arguments if not isinstance(argument, str)])
        self._visible_children: list[QtWidgets.QWidget] = []
        self.setCheckable(True)
        self.setChecked(True)
        self.setText(texts[0] if texts else "")
        self.setContentsMargins(0, self._header_height(), 0, 0)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Preferred, QtWidgets.QSizePolicy.Policy.Preferred)
        self.toggled.connect(self._on_toggled)

    def _header_height(self) -> int:
        return self.fontMetrics().height() + 10

    def _on_toggled(self, expanded: bool) -> None:
        if expanded:
            self.setMaximumHeight(16777215)
            for child in self._visible_children:
                child.show()
            self._visible_children = []
        else:
            self.setMaximumHeight(self._header_height())
            for child in self.children():
                self._hide_child(child)
        self.updateGeometry()
        self.contentsCollapsed.emit(not expanded)

    def _hide_child(self, child: QtCore.QObject) -> None:
        if isinstance(child, QtWidgets.QWidget) and not child.isHidden():
            self._visible_children.append(child)
            child.hide()

    def childEvent(self, event: QtCore.QChildEvent) -> None:
        super().childEvent(event)
        if event.type() == QtCore.QEvent.Type.ChildPolished and self.collapsed:
            self._hide_child(event.child())

    def sizeHint(self) -> QtCore.QSize:
        size = QtWidgets.QWidget.sizeHint(self)
        return QtCore.QSize(max(size.width(), 120), self._header_height() if self.collapsed else size.height())

    def minimumSizeHint(self) -> QtCore.QSize:
        size = QtWidgets.QWidget.minimumSizeHint(self)
        return QtCore.QSize(size.width(), self._header_height() if self.collapsed else size.height())

    def hitButton(self, position: QtCore.QPoint) -> bool:
        return position.y() <= self._header_height()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtWidgets.QStylePainter(self)
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = QtCore.QRect(0, 0, self.width, self._header_height())
        option.state |= QtWidgets.QStyle.StateFlag.State_Raised
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButtonBevel, option)
        arrow = QtWidgets.QStyle.PrimitiveElement.PE_IndicatorArrowDown
        if self.collapsed:
            arrow = QtWidgets.QStyle.PrimitiveElement.PE_IndicatorArrowRight
        text_rect = option.rect.adjusted(26, 0, -4, 0)
        option.rect = QtCore.QRect(8, self._header_height() // 2 - 6, 12, 12)
        painter.drawPrimitive(arrow, option)
        flags = QtCore.Qt.AlignmentFlag.AlignVCenter | QtCore.Qt.TextFlag.TextShowMnemonic
        painter.drawItemText(text_rect, int(flags.value), self.palette, self.enabled, self.text)

    def setCollapsed(self, collapsed: bool) -> None:
        """Hide or show the contents."""
        self.setChecked(not collapsed)

    collapsed = Property(bool, lambda self: not self.checked, setCollapsed)


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
