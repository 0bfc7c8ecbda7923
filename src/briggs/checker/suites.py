"""The probes of each API that can be checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from briggs.checker.endpoint import Api
from briggs.checker.input_probes import EMBEDDING_PROBES, MODERATION_PROBES
from briggs.checker.message_probes import MESSAGE_PROBES
from briggs.checker.probes import PROBES, Probe
from briggs.checker.response_probes import RESPONSE_PROBES
from briggs.checker.text_probes import TEXT_PROBES

SUITES: Mapping[Api, Sequence[Probe]] = {
    "chat": PROBES,
    "responses": RESPONSE_PROBES,
    "messages": MESSAGE_PROBES,
    "completions": TEXT_PROBES,
    "embeddings": EMBEDDING_PROBES,
    "moderations": MODERATION_PROBES,
}
