"""Bedrock's wire, checked with botocore and a server that checks signatures."""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import botocore.session
import pytest
from botocore.validate import ParamValidator

from briggs.providers.catalog import find_only, open_providers
from briggs.providers.signing import AwsSigner, load_botocore, open_bedrock
from briggs.settings import ProviderSettings, Settings, SettingsError
from briggs.transport import Transport
from briggs.types.envelope import open_envelope
from briggs.types.errors import ProviderNotReady, UpstreamInvalid
from briggs.wires.base import Prepared
from briggs.wires.bedrock.answer import BedrockReader, split_frames
from briggs.wires.events import EventStream
from tests.processes import Seen, Server, Upstream, read_frames, run_server
from tests.wires.eventstream import encode_event
from tests.wires.folders import Case, list_cases

SENT = [case for case in list_cases() if case.provider == "bedrock" and case.sent]
MODEL = "arn:aws:bedrock:eu-north-1:123456789012:inference-profile/eu.amazon.nova-pro-v1:0"
HELLO = {"role": "user", "content": "Hello"}
KEY_ID, SECRET, TOKEN = "AKIDTEST", "secret/test+1", "session-token"
ANSWER = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
    "metrics": {"latencyMs": 5},
}


@pytest.fixture(scope="module")
def request_shape() -> Any:
    model = botocore.session.get_session().get_service_model("bedrock-runtime")
    return model.operation_model("Converse").input_shape


@pytest.mark.parametrize("case", SENT, ids=[case.id for case in SENT])
def test_botocore_knows_what_is_sent(case: Case, request_shape: Any) -> None:
    """Every body is one that AWS's own SDK could have sent."""
    report = ParamValidator().validate({"modelId": case.model, **case.sent}, request_shape)
    assert not report.has_errors(), report.generate_report()


def test_botocore_refuses(request_shape: Any) -> None:
    """The check above can fail."""
    body = {"modelId": "m", "messages": [{"role": "user", "content": [{"text": 1}]}]}
    assert ParamValidator().validate(body, request_shape).has_errors()


def sign(seen: Seen, *, secret: str) -> str:
    """The signature that the request should have, by the rules of AWS:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
    """
    fields = dict(
        field.split("=", 1)
        for field in seen.headers["authorization"].removeprefix("AWS4-HMAC-SHA256 ").split(", ")
    )
    scope = fields["Credential"].split("/", 1)[1]
    names = fields["SignedHeaders"].split(";")
    canonical = "\n".join(
        [
            "POST" if seen.body else "GET",
            quote(seen.path, safe="/~"),
            "",
            *(f"{name}:{seen.headers[name]}" for name in names),
            "",
            fields["SignedHeaders"],
            hashlib.sha256(seen.body).hexdigest(),
        ]
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    stamp = seen.headers["x-amz-date"]
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, digest])
    return hmac.new(key, text.encode(), "sha256").hexdigest()


def is_signed(seen: Seen) -> bool:
    authorization = seen.headers.get("authorization", "")
    return (
        f"Credential={KEY_ID}/" in authorization
        and "/eu-north-1/bedrock/aws4_request" in authorization
        and seen.headers["x-amz-security-token"] == TOKEN
        and authorization.endswith(f"Signature={sign(seen, secret=SECRET)}")
    )


def answer_signed(handler: Any, seen: Seen) -> None:
    if not is_signed(seen):
        words = {"message": "The request signature we calculated does not match."}
        handler.send_whole(403, json.dumps(words).encode())
        return
    answer(handler, seen)


def answer(handler: Any, seen: Seen) -> None:
    name = seen.path.rpartition("/")[2]
    assert seen.path.endswith(f"/model/{quote(MODEL, safe='')}/{name}")
    if name == "converse":
        handler.send_whole(200, json.dumps(ANSWER).encode())
        return
    handler.begin_stream("application/vnd.amazon.eventstream")
    handler.write_piece(encode_event("messageStart", {"role": "assistant"}))
    delta = {"delta": {"text": "Hi"}, "contentBlockIndex": 0}
    handler.write_piece(encode_event("contentBlockDelta", delta))
    handler.write_piece(encode_event("contentBlockStop", {"contentBlockIndex": 0}))
    if "broken" not in seen.path:
        handler.write_piece(encode_event("messageStop", {"stopReason": "end_turn"}))
        metadata = {"usage": ANSWER["usage"], "metrics": {"latencyMs": 5}}
        handler.write_piece(encode_event("metadata", metadata))
    handler.write_piece(b"")


@pytest.fixture(scope="module")
def vendor() -> Iterator[Upstream]:
    upstream = Upstream({"signed": answer_signed, "bearer": answer, "broken": answer})
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def server(vendor: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Briggs whose AWS credentials are in a file, as the AWS CLI writes it."""
    folder = tmp_path_factory.mktemp("bedrock")
    config = "".join(
        f'[providers.{name}]\nkind = "bedrock"\nregion = "eu-north-1"\n'
        f'base_url = "http://127.0.0.1:{vendor.port}/{name}"\n'
        + ('key_variable = "BEDROCK"\n' if name == "bearer" else "")
        for name in vendor.behaviours
    )
    credentials = folder / "credentials"
    credentials.write_text(
        f"[test]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n"
        f"aws_session_token = {TOKEN}\n"
    )
    environment = {
        "AWS_PROFILE": "test",
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
        "BEDROCK": "bearer-token",
    }
    with run_server(folder / "data", config=config, environment=environment) as running:
        yield running


@pytest.mark.parametrize("stream", [False, True])
def test_signatures(server: Server, stream: bool) -> None:
    """Requests are signed with the credentials that botocore finds, whole and streamed."""
    reply = server.chat({"model": f"signed/{MODEL}", "messages": [HELLO], "stream": stream})
    assert reply.status == 200, reply.body
    assert "Hi" in reply.body.decode()
    assert server.find(reply)["briggs"]["status"] == "finished"


def test_bearer_tokens(server: Server, vendor: Upstream) -> None:
    """A key is sent if there is one. Then nothing is signed."""
    reply = server.chat({"model": f"bearer/{MODEL}", "messages": [HELLO]})
    assert reply.status == 200, reply.body
    headers = vendor.seen[-1].headers
    assert headers["authorization"] == "Bearer bearer-token"
    assert "x-amz-date" not in headers


def test_a_stream_without_its_end(server: Server) -> None:
    """A stream that breaks off before `messageStop` fails."""
    reply = server.chat({"model": f"broken/{MODEL}", "messages": [HELLO], "stream": True})
    assert json.loads(read_frames(reply.body)[-1])["error"]["code"] == "upstream_truncated"
    assert server.find(reply)["briggs"]["status"] == "failed"


def create_prepared() -> Prepared:
    envelope = open_envelope(json.dumps({"model": "m", "messages": [HELLO]}).encode())
    return Prepared(envelope, "m", b"")


@pytest.mark.parametrize(
    "data",
    [
        encode_event("messageStart", {})[:-1] + b"\0",
        encode_event("contentBlockDelta", {"delta": {"text": "x"}}),
        b"data: {}\n\n and no frame",
    ],
)
def test_malformed_events(data: bytes) -> None:
    """Data that is not a frame, and a frame with a wrong checksum, are refused."""
    with pytest.raises(UpstreamInvalid, match="not in AWS's format"):
        stream = EventStream(BedrockReader(create_prepared()), split=split_frames(), vendor="AWS")
        stream.feed(data)


def test_no_region() -> None:
    """Without a region there is no address, so the start fails with an error."""
    with pytest.raises(SettingsError, match="AWS_REGION"):
        open_bedrock(ProviderSettings(kind="bedrock"), {})


@pytest.mark.parametrize(
    ("environment", "address", "only"),
    [
        ({}, None, "local"),
        ({"AWS_BEARER_TOKEN_BEDROCK": "t"}, None, "local"),
        ({"AWS_REGION": "eu-north-1"}, "eu-north-1", "local"),
        ({"AWS_DEFAULT_REGION": "r", "AWS_BEARER_TOKEN_BEDROCK": "t"}, "r", "bedrock"),
    ],
)
async def test_without_a_file(
    tmp_path: Path, environment: dict[str, str], address: str | None, only: str
) -> None:
    """Without a file, Bedrock is available if a region is set, and counts if it has a key."""
    settings = Settings(data=tmp_path, environment=environment)
    transport = Transport()
    bedrock = open_providers(settings, transport=transport).get("bedrock")
    await transport.close()
    assert find_only(settings) == only
    assert (bedrock is None) == (address is None)
    if bedrock is not None:
        assert bedrock.is_configured
        assert bedrock.base_url == f"https://bedrock-runtime.{address}.amazonaws.com"


async def test_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials, the error lists the places for them."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(ProviderNotReady, match="AWS_BEARER_TOKEN_BEDROCK"):
        await AwsSigner("bedrock", region="r", environment={}).refresh()


def test_without_botocore(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra package, the error names that package."""
    monkeypatch.setitem(sys.modules, "botocore.eventstream", None)
    with pytest.raises(ProviderNotReady, match=r"briggs\[bedrock\]"):
        load_botocore()


async def test_credentials_that_run_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials are read once, and again when they expire."""
    signer = AwsSigner("bedrock", region="r", environment={})
    found: list[Expiring] = []

    def find() -> tuple[Expiring, None]:
        found.append(Expiring())
        return found[-1], None

    monkeypatch.setattr(signer, "_find", find)
    await signer.refresh()
    await signer.refresh()
    assert len(found) == 1
    found[0].runs_out = True
    await signer.refresh()
    assert len(found) == 2


class Expiring:
    """Credentials that expire, like botocore's for roles."""

    runs_out = False

    def refresh_needed(self) -> bool:
        return self.runs_out


def test_models() -> None:
    """The models are listed by another host than the one that answers."""
    wire = open_bedrock(ProviderSettings(kind="bedrock", region="us-east-1"), {})
    url = wire.models_url("https://bedrock-runtime.us-east-1.amazonaws.com")
    assert url == "https://bedrock.us-east-1.amazonaws.com/foundation-models"
    listed = {"modelSummaries": [{"modelId": "amazon.nova-pro-v1:0", "providerName": "Amazon"}]}
    (model,) = wire.read_models(json.dumps(listed).encode()).models
    assert (model["id"], model["owned_by"]) == ("amazon.nova-pro-v1:0", "Amazon")


def open_stream() -> EventStream:
    return EventStream(BedrockReader(create_prepared()), split=split_frames(), vendor="AWS")


def test_frames_may_be_cut_anywhere() -> None:
    """A frame is read once it is whole, however small its pieces are."""
    start = encode_event("messageStart", {"role": "assistant"})
    text = encode_event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hello"}})
    whole = open_stream().feed(start + text)
    stream = open_stream()
    pieces = [payload for byte in start + text for payload in stream.feed(bytes([byte]))]
    texts = [json.loads(payload)["choices"][0]["delta"] for payload in (*whole, *pieces)]
    assert texts[: len(whole)] == texts[len(whole) :]
    assert texts[-1] == {"content": "Hello"}


@pytest.mark.parametrize("length", [0, 15, 24 * 1024 * 1024 + 1, 2**32 - 1])
def test_a_length_that_no_frame_has(length: int) -> None:
    """An impossible length is refused as soon as it is read, before its data is kept."""
    with pytest.raises(UpstreamInvalid):
        open_stream().feed(length.to_bytes(4) + b"\0" * 8)


def test_a_large_frame_of_small_pieces_takes_no_longer() -> None:
    """The beginning of a frame is not copied again for each piece."""
    payload = {"contentBlockIndex": 0, "delta": {"text": "x" * 8_000_000}}
    frame = encode_event("contentBlockDelta", payload)
    stream = open_stream()
    began = time.process_time()
    sizes = [len(stream.feed(frame[at : at + 200])) for at in range(0, len(frame), 200)]
    assert sum(sizes) == 1
    assert time.process_time() - began < 20


def test_a_signature_comes_in_pieces() -> None:
    """The pieces of a signature are joined in order."""
    stream = open_stream()
    stream.feed(encode_event("messageStart", {"role": "assistant"}))
    for piece in ("c2", "ln", "bg"):
        delta = {"reasoningContent": {"signature": piece}}
        stream.feed(encode_event("contentBlockDelta", {"contentBlockIndex": 0, "delta": delta}))
    [payload] = stream.feed(encode_event("contentBlockStop", {"contentBlockIndex": 0}))
    [detail] = json.loads(payload)["choices"][0]["delta"]["reasoning_details"]
    assert detail["signature"] == "c2lnbg"
