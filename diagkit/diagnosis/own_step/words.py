"""What to say where the observed step shows nothing."""

from __future__ import annotations

from diagkit.diagnosis.check import Evidence


def unseen(evidence: Evidence) -> str:
    """Why the books are empty."""
    if evidence["error"]:
        return f"Not seen: your step raised {evidence['error'].rstrip('.')}."
    return "Not seen: too few updates were made in the calls of your step that were observed."
