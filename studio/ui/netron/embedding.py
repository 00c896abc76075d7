"""The web view that Netron's page is embedded in, where ``burnish[netron-view]`` is installed."""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import Any

from PySide6.QtCore import QCoreApplication, Qt, QUrl
from PySide6.QtWidgets import QWidget

_MODULE = "PySide6.QtWebEngineWidgets"
_NO_SANDBOX = "QTWEBENGINE_DISABLE_SANDBOX"


def is_available() -> bool:
    """Say whether the web engine is installed."""
    return importlib.util.find_spec(_MODULE) is not None


def prepare() -> None:
    """Do what the web engine wants before the application is made; nothing where it is not installed."""
    if is_available():
        QCoreApplication.setAttribute(Qt.ApplicationAttribute.AA_ShareOpenGLContexts)


def without_sandbox() -> bool:
    """Say whether the web engine's sandbox has to be off: as root it does not start with it."""
    effective = getattr(os, "geteuid", None)
    return effective is not None and effective() == 0


def may_load(url: str, home: str) -> bool:
    """Say whether the page may ask for something: only its own server's files, and what it made itself."""
    return url.startswith((home, f"blob:{home.split('/', 3)[0]}//{home.split('/', 3)[2]}/", "data:"))


def make_view(home: str, parent: QWidget | None = None) -> QWidget:
    """Make a view of the page at an address on loopback; it can ask for nothing else, and keeps nothing on disk."""
    if without_sandbox():
        os.environ.setdefault(_NO_SANDBOX, "1")
    core: Any = importlib.import_module("PySide6.QtWebEngineCore")
    widgets: Any = importlib.import_module(_MODULE)

    class Interceptor(core.QWebEngineUrlRequestInterceptor):  # type: ignore[misc]
        """Blocks every request that leaves the machine."""

        def interceptRequest(self, info: Any) -> None:
            if not may_load(info.requestUrl().toString(), home):
                info.block(True)

    view: QWidget = widgets.QWebEngineView(parent)
    profile = core.QWebEngineProfile(QCoreApplication.instance())
    profile.setUrlRequestInterceptor(Interceptor(profile))
    page = core.QWebEnginePage(profile, view)
    # The page has to go before its profile.
    page.destroyed.connect(profile.deleteLater)
    made: Any = view
    made.setPage(page)
    made.load(QUrl(home))
    return view
