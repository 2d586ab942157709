"""The truth of Qt objects as PythonQt has it: null, empty and deleted objects are False.

PythonQt's generator gives a class `__nonzero__` when it has isEmpty(), isNull() or isValid(). PySide6 does so for a few
classes only, and for some of them by isNull() where PythonQt asks isEmpty().
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import shiboken6
from PySide6 import QtCore, QtGui, QtWidgets

from .failures import failures

# The method that `bool` asks, and its answer that means True; from PythonQt's wrappers for Qt 5.15.
_FALSE_WHEN_EMPTY = """
    QBitArray QByteArray QRect QRectF QSize QSizeF QUrl QUrlQuery QDir QProcessEnvironment QItemSelection
    QItemSelectionRange QJsonArray QJsonDocument QTranslator QKeySequence QPolygon QPolygonF QRegion QPainterPath
    QGlyphRun QTextFormat QTextDocument QTextDocumentFragment QTextList QMenu QLayout QLayoutItem QBoxLayout
    QFormLayout QGridLayout QHBoxLayout QVBoxLayout QStackedLayout QSpacerItem QWidgetItem
""".split()
_FALSE_WHEN_NULL = """
    QLine QLineF QMargins QMarginsF QPoint QPointF QUuid QJsonValue QCborValue QBitmap QPixmap QIcon QImage QPicture
    QQuaternion QVector2D QVector3D QVector4D QTextCursor
""".split()
_FALSE_WHEN_INVALID = """
    QCalendar QCborStreamReader QDate QDateTime QTime QTimeZone QElapsedTimer QModelIndex QPersistentModelIndex
    QRegularExpression QRegularExpressionMatch QMetaEnum QMetaMethod QMetaProperty QMetaType QMimeType QResource
    QStorageInfo QTemporaryDir QTextBoundaryFinder QColor QColorSpace QMovie QPageLayout QPageSize QRawFont QTextBlock
    QTextFragment QTextInlineObject QTextLine QTextTableCell QOffscreenSurface QOpenGLContext
""".split()
# slicer.util asks as it does in Slicer; what a test asks is its own business.
_MAY_ASK = ("slicer", "standin", "PySide6", "shiboken6", "_pytest", "test_")


class AmbiguousTruth(AssertionError):
    """Code of a module asked whether a Qt object is true, where this does not say whether there is one."""


def install(classes: Iterable[type]) -> None:
    """Give the QObject classes and the value classes PythonQt's `__bool__`, for good.

    Args:
        classes: The QObject classes.
    """
    for cls in classes:
        if "__bool__" in vars(cls):
            del cls.__bool__  # type: ignore[attr-defined]
    # A wrapper whose C++ object has been deleted is False.
    QtCore.QObject.__bool__ = lambda self: shiboken6.isValid(self)  # type: ignore[attr-defined]
    for names, method, expected in (
        (_FALSE_WHEN_EMPTY, "isEmpty", False),
        (_FALSE_WHEN_NULL, "isNull", False),
        (_FALSE_WHEN_INVALID, "isValid", True),
    ):
        for name in names:
            cls = next((found for module in (QtCore, QtGui, QtWidgets) if (found := getattr(module, name, None))), None)
            if cls is not None:
                cls.__bool__ = _asks(method, expected)


def _asks(method: str, expected: bool) -> Any:
    def truth(self: Any) -> bool:
        caller = sys._getframe(1)
        name = caller.f_globals.get("__name__", "")
        if not name.startswith(_MAY_ASK):
            failures.record(
                AmbiguousTruth(
                    f"The truth of a {type(self).__name__} is the answer of {method}(), see {name}, line "
                    f"{caller.f_lineno}: write `is not None` or call {method}()"
                )
            )
        return shiboken6.isValid(self) and bool(getattr(self, method)()) is expected

    return truth
