"""Names in PythonQt's wrappers for Qt 5.15 that behave otherwise than in PySide6."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Classes whose truth is the opposite of isEmpty().
FALSE_WHEN_EMPTY = _words(
    """
    QBitArray QByteArray QRect QRectF QSize QSizeF QUrl QUrlQuery QDir QProcessEnvironment QItemSelection
    QItemSelectionRange QJsonArray QJsonDocument QTranslator QKeySequence QPolygon QPolygonF QRegion QPainterPath
    QGlyphRun QTextFormat QTextDocument QTextDocumentFragment QTextList QMenu QLayout QLayoutItem QBoxLayout
    QFormLayout QGridLayout QHBoxLayout QVBoxLayout QStackedLayout QSpacerItem QWidgetItem
    """
)
# Classes whose truth is the opposite of isNull().
FALSE_WHEN_NULL = _words(
    """
    QLine QLineF QMargins QMarginsF QPoint QPointF QUuid QJsonValue QCborValue QBitmap QPixmap QIcon QImage QPicture
    QQuaternion QVector2D QVector3D QVector4D QTextCursor
    """
)
# Classes whose truth is isValid().
FALSE_WHEN_INVALID = _words(
    """
    QCalendar QCborStreamReader QDate QDateTime QTime QTimeZone QElapsedTimer QModelIndex QPersistentModelIndex
    QRegularExpression QRegularExpressionMatch QMetaEnum QMetaMethod QMetaProperty QMetaType QMimeType QResource
    QStorageInfo QTemporaryDir QTextBoundaryFinder QColor QColorSpace QMovie QPageLayout QPageSize QRawFont
    QTextBlock QTextFragment QTextInlineObject QTextLine QTextTableCell QOffscreenSurface QOpenGLContext
    """
)
# Methods of QObjects that return lists or any Python value; PythonQt makes a tuple of every list.
LISTS = _words(
    """
    actions buttons children collidingItems data dynamicPropertyNames entryList findChildren findItems formats
    history indexes itemData items labels property readAllStandardOutput screens selectedFiles selectedIndexes
    selectedItems selectedRanges selectedRows selectedColumns selectedUrls sizes stringList supportedSchemes
    topLevelWidgets allWidgets urls value values widgets associatedWidgets allKeys childKeys childGroups takeRow
    takeColumn nameFilters mimeTypeFilters supportedMimeTypes environment arguments subWindowList
    tabifiedDockWidgets gestures shortcuts match
    """
)
# Methods that show the text "None" when they get None, where PySide6 shows none.
TEXTS = _words(
    """
    setText setToolTip setWindowTitle setTitle setPlainText setHtml setPlaceholderText setStatusTip setObjectName
    addItem appendPlainText append setLabelText setPrefix setSuffix setWhatsThis insertPlainText
    """
)
