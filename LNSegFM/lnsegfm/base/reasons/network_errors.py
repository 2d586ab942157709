"""Why something could not be fetched from the network, in words a hospital's user can pass on to the IT department."""

from __future__ import annotations

import re

# In this order: behind a proxy or a firewall, the errors that follow from it mention connections as well.
_REASONS = (
    (
        r"ProxyError|\b407\b|proxy authentication|cannot connect to proxy|tunnel connection failed",
        "The proxy server refused the connection or could not be reached.",
        "Ask your IT department for the proxy's address, set it in the system's network settings or in the environment "
        "variable HTTPS_PROXY, restart Slicer and try again.",
    ),
    (
        r"SSLError|CERTIFICATE_VERIFY_FAILED|certificate verify failed|SSLCertVerification",
        "The server's TLS certificate could not be verified; networks that inspect TLS traffic put in their own.",
        "Ask your IT department for its root certificate, let the environment variable REQUESTS_CA_BUNDLE name that "
        "file, restart Slicer and try again.",
    ),
    (
        r"NameResolution|getaddrinfo|name or service not known|nodename nor servname|name resolution",
        "The server's name could not be looked up.",
        "Check the internet connection and whether the network needs a proxy, then try again.",
    ),
    (
        r"NewConnectionError|ConnectTimeout|ConnectionError|connection refused|connection broken|connection reset|"
        r"RemoteDisconnected|max retries|ReadTimeout|timed out|network is unreachable",
        "The server could not be reached, or the connection broke.",
        "Check the internet connection and whether a firewall is in the way, then try again.",
    ),
)


def network_reason(text: str) -> tuple[str, str] | None:
    """Return why a transfer failed and what to do about it, or None where the text tells of no network error.

    Args:
        text: What requests, urllib3 or pip said, with the names of the exceptions.
    """
    for pattern, why, todo in _REASONS:
        if re.search(pattern, text, re.IGNORECASE):
            return why, todo
    return None
