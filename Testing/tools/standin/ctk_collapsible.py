"""ctkCollapsibleButton, with the size policy, size hints and children's visibility of CTK's own."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, Signal

_Policy = QtWidgets.QSizePolicy.Policy
_Attribute = QtCore.Qt.WidgetAttribute
_SHOWN = "visibilityToParent"


class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """A section with a header; a click on the header hides the contents.

    Its horizontal size policy is Minimum: in a layout it is never narrower than its size hint, which is that of its
    contents. What is in it and would like to be wide widens the panel, and in Slicer the main window with it.
    """

    contentsCollapsed = Signal(bool)

    def __init__(self, *arguments: Any) -> None:
        texts = [argument for argument in arguments if isinstance(argument, str)]
        super().__init__(*[argument for argument in arguments if not isinstance(argument, str)])
        self._is_collapsed = self._is_forcing = self._is_created = False
        self._collapsed_height = 14
        self._height_when_open = 16777215
        self.setCheckable(True)
        self.setChecked(True)
        self.setSizePolicy(_Policy.Minimum, _Policy.Preferred)
        self.setContentsMargins(0, self._button_size().height(), 0, 0)
        self.setBackgroundRole(QtGui.QPalette.ColorRole.Window)
        self.toggled.connect(self._on_toggled)
        self.setText(texts[0] if texts else "")

    # Sizes

    def _button_size(self) -> QtCore.QSize:
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        style, metric = QtWidgets.QWidget.style(self), QtWidgets.QStyle.PixelMetric
        indicator = QtCore.QSize(
            style.pixelMetric(metric.PM_IndicatorWidth, option, self),
            style.pixelMetric(metric.PM_IndicatorHeight, option, self),
        )
        spacing = style.pixelMetric(metric.PM_CheckBoxLabelSpacing, option, self)
        text = self.fontMetrics().size(int(QtCore.Qt.TextFlag.TextShowMnemonic.value), self.text or "XXXX")
        width = indicator.width() + spacing + (text.width() if self.text else 0)
        contents = QtCore.QSize(width, max(indicator.height(), text.height()))
        return style.sizeFromContents(QtWidgets.QStyle.ContentsType.CT_PushButton, option, contents, self)

    def minimumSizeHint(self) -> QtCore.QSize:
        button = self._button_size()
        if self._is_collapsed:
            return button + QtCore.QSize(0, self._collapsed_height)
        if self.layout() is None:
            return button
        return QtWidgets.QAbstractButton.minimumSizeHint(self).expandedTo(button)

    def sizeHint(self) -> QtCore.QSize:
        button = self._button_size() + QtCore.QSize(0, self._collapsed_height)
        return button if self._is_collapsed else QtWidgets.QAbstractButton.sizeHint(self).expandedTo(button)

    def event(self, event: QtCore.QEvent) -> bool:
        if event.type() in (QtCore.QEvent.Type.StyleChange, QtCore.QEvent.Type.FontChange):
            self.setContentsMargins(0, self._button_size().height(), 0, 0)
            if self._is_collapsed:
                self.setMaximumHeight(self.sizeHint().height())
        return super().event(event)

    # Open and closed

    def _on_toggled(self, checked: bool) -> None:
        if checked != self._is_collapsed:
            return
        self._is_collapsed = not checked
        if self._is_collapsed:
            self._height_when_open = self.maximumHeight
            self.setMaximumHeight(self.sizeHint().height())
        else:
            self.setMaximumHeight(self._height_when_open)
        for child in self.children():
            self._set_child_visibility(child)
        self.updateGeometry()
        self.contentsCollapsed.emit(self._is_collapsed)

    def _set_child_visibility(self, child: QtCore.QObject) -> None:
        if not isinstance(child, QtWidgets.QWidget) or not self.testAttribute(_Attribute.WA_WState_Created):
            return
        self._is_forcing = True
        shown = child.property(_SHOWN) is not False
        visible = shown and not self._is_collapsed
        if child.testAttribute(_Attribute.WA_WState_Created) or not visible:
            child.setVisible(visible)
        if shown:
            child.setAttribute(_Attribute.WA_WState_ExplicitShowHide, False)
        self._is_forcing = False

    def childEvent(self, event: QtCore.QChildEvent) -> None:
        # CTK acts when the child is added; PySide6 has no Python object for it then.
        child = event.child()
        if event.type() == QtCore.QEvent.Type.ChildPolished and isinstance(child, QtWidgets.QWidget):
            explicit = child.testAttribute(_Attribute.WA_WState_ExplicitShowHide)
            if explicit and child.testAttribute(_Attribute.WA_WState_Hidden):
                child.setProperty(_SHOWN, False)
            child.installEventFilter(self)
            self._set_child_visibility(child)
        super().childEvent(event)

    def eventFilter(self, child: QtCore.QObject, event: QtCore.QEvent) -> bool:
        if not self._is_forcing:
            if event.type() == QtCore.QEvent.Type.ShowToParent:
                child.setProperty(_SHOWN, True)
                self._set_child_visibility(child)
            elif event.type() == QtCore.QEvent.Type.HideToParent:
                child.setProperty(_SHOWN, False)
        return super().eventFilter(child, event)

    def setVisible(self, visible: bool) -> None:
        self._is_forcing = True
        super().setVisible(visible)
        self._is_forcing = False
        if not self._is_created and self.testAttribute(_Attribute.WA_WState_Created):
            self._is_created = True
            for child in self.children():
                self._set_child_visibility(child)

    # The header

    def hitButton(self, position: QtCore.QPoint) -> bool:
        return 0 <= position.y() < self._button_size().height()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtWidgets.QStylePainter(self)
        height = self._button_size().height()
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = QtCore.QRect(0, 0, self.width, height)
        option.state |= QtWidgets.QStyle.StateFlag.State_Raised
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButtonBevel, option)
        arrow = QtWidgets.QStyle.PrimitiveElement.PE_IndicatorArrowDown
        if self._is_collapsed:
            arrow = QtWidgets.QStyle.PrimitiveElement.PE_IndicatorArrowRight
        text_rect = option.rect.adjusted(26, 0, -4, 0)
        option.rect = QtCore.QRect(8, height // 2 - 6, 12, 12)
        painter.drawPrimitive(arrow, option)
        flags = QtCore.Qt.AlignmentFlag.AlignVCenter | QtCore.Qt.TextFlag.TextShowMnemonic
        painter.drawItemText(text_rect, int(flags.value), self.palette, self.enabled, self.text)

    def setCollapsed(self, collapsed: bool) -> None:
        """Hide or show the contents."""
        self.setChecked(not collapsed)

    collapsed = Property(bool, lambda self: self._is_collapsed, setCollapsed)

    def _set_collapsed_height(self, height: int) -> None:
        self._collapsed_height = height
        self.updateGeometry()

    collapsedHeight = Property(int, lambda self: self._collapsed_height, _set_collapsed_height)
