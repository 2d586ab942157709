"""CTK's widgets that choose files and folders."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal


class ctkPathLineEdit(QtWidgets.QWidget):
    """An editable path with a button that opens a file dialog."""

    currentPathChanged = Signal(str)
    # QDir's filters, of which CTK's are a copy
    Dirs, Files, Drives, NoSymLinks, Readable, Writable, Executable, Hidden = 1, 2, 4, 8, 16, 32, 64, 256
    AllEntries = Dirs | Files | Drives

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._filters = self.AllEntries
        self._name_filters: list[str] = []
        self._setting_key = ""
        self._edit = QtWidgets.QComboBox()
        self._edit.setEditable(True)
        self._edit.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Fixed)
        self._browse = QtWidgets.QToolButton()
        self._browse.setText("...")
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._edit, 1)
        layout.addWidget(self._browse)
        self._edit.editTextChanged.connect(self.currentPathChanged.emit)
        self._browse.clicked.connect(self.browse)

    def browse(self) -> None:
        """Ask the user for a path."""
        if self._filters & self.Files:
            path = QtWidgets.QFileDialog.getOpenFileName(self, "Select a file", self.currentPath)
        else:
            path = QtWidgets.QFileDialog.getExistingDirectory(self, "Select a folder", self.currentPath)
        if path:
            self.setCurrentPath(path)

    def addCurrentPathToHistory(self) -> None:
        """Keep the path in the list of recent ones."""
        if self._edit.findText(self.currentPath) < 0:
            self._edit.addItem(self.currentPath)

    def setCurrentPath(self, path: str) -> None:
        """Show a path."""
        self._edit.setEditText(path)

    def _keep(self, name: str, value: Any) -> None:
        setattr(self, name, value)

    currentPath = Property(str, lambda self: self._edit.currentText, setCurrentPath)
    filters = Property(int, lambda self: self._filters, lambda self, v: self._keep("_filters", v))
    nameFilters = Property(
        "QStringList", lambda self: self._name_filters, lambda self, v: self._keep("_name_filters", list(v))
    )
    settingKey = Property(str, lambda self: self._setting_key, lambda self, v: self._keep("_setting_key", v))
    showBrowseButton = Property(
        bool, lambda self: not self._browse.isHidden(), lambda self, v: self._browse.setVisible(v)
    )


class ctkDirectoryButton(QtWidgets.QPushButton):
    """A button that shows a folder and opens a dialog to change it."""

    directoryChanged = Signal(str)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._directory = QtCore.QDir.currentPath()
        self.setText(self._directory)
        self.clicked.connect(self._browse)

    def _browse(self) -> None:
        path = QtWidgets.QFileDialog.getExistingDirectory(self, "Select a folder", self._directory)
        if path:
            self.setDirectory(path)

    def setDirectory(self, path: str) -> None:
        """Show a folder."""
        if path != self._directory:
            self._directory = path
            self.setText(path)
            self.directoryChanged.emit(path)

    directory = Property(str, lambda self: self._directory, setDirectory)
