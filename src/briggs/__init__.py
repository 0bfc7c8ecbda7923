"""Briggs answers, records and grades chat completions. This module has its public names."""

from typing import TYPE_CHECKING

from msgspec import UNSET

from briggs.types.chunk import (
    ChatCompletionAudioDelta,
    ChatCompletionStreamResponseDelta,
    CreateChatCompletionStreamResponse,
    StreamChoice,
)
from briggs.types.completions import (
    Completion,
)
from briggs.types.errors import (
    BriggsError,
)
from briggs.types.fold import (
    Fold,
    fold,
)
from briggs.types.formats import (
    JsonSchemaFormat,
    ResponseFormat,
    ResponseFormatJsonObject,
    ResponseFormatJsonSchema,
    ResponseFormatText,
    UnknownResponseFormat,
)
from briggs.types.json import (
    Object,
    Unknown,
    decode,
    encode,
)
from briggs.types.logprobs import (
    ChatCompletionTokenLogprob,
    ChoiceLogprobs,
    Logprobs,
    TopLogprobs,
)
from briggs.types.messages import (
    AudioId,
    ChatCompletionRequestAssistantMessage,
    ChatCompletionRequestDeveloperMessage,
    ChatCompletionRequestFunctionMessage,
    ChatCompletionRequestMessage,
    ChatCompletionRequestMessageContentPartAudio,
    ChatCompletionRequestMessageContentPartFile,
    ChatCompletionRequestMessageContentPartImage,
    ChatCompletionRequestMessageContentPartRefusal,
    ChatCompletionRequestMessageContentPartText,
    ChatCompletionRequestSystemMessage,
    ChatCompletionRequestToolMessage,
    ChatCompletionRequestUserMessage,
    ContentPart,
    ImageUrl,
    InputAudio,
    InputFile,
    PromptCacheBreakpoint,
    UnknownContentPart,
    UnknownMessage,
)
from briggs.types.models import (
    DeleteModelResponse,
    ListModelsResponse,
    Model,
)
from briggs.types.request import (
    ChatCompletionAudioParam,
    ChatCompletionStreamOptions,
    CreateChatCompletionRequest,
    ModerationParam,
    PredictionContent,
    PromptCacheOptions,
    ReasoningEffort,
    Verbosity,
    VoiceId,
    WebSearchLocation,
    WebSearchOptions,
    WebSearchUserLocation,
)
from briggs.types.response import (
    ChatCompletionAudio,
    ChatCompletionResponseMessage,
    ChatCompletionRole,
    Choice,
    Choices,
    CreateChatCompletionResponse,
    FinishReason,
    Moderation,
    ObjectT,
    ServiceTier,
    UnknownAnnotation,
    UrlCitation,
    UrlCitationAnnotation,
)
from briggs.types.stored import (
    ChatCompletionDeleted,
    ChatCompletionList,
    ChatCompletionMessageList,
    ChatCompletionStoredMessage,
    UpdateChatCompletionRequest,
)
from briggs.types.tools import (
    ChatCompletionAllowedTools,
    ChatCompletionAllowedToolsChoice,
    ChatCompletionFunctionCallOption,
    ChatCompletionFunctions,
    ChatCompletionMessageCustomToolCall,
    ChatCompletionMessageToolCall,
    ChatCompletionMessageToolCallChunk,
    ChatCompletionNamedToolChoice,
    ChatCompletionNamedToolChoiceCustom,
    ChatCompletionTool,
    ChatCompletionToolChoiceOption,
    CustomTool,
    CustomToolCall,
    CustomToolChatCompletions,
    CustomToolFormatGrammar,
    CustomToolFormatText,
    CustomToolGrammar,
    FunctionCall,
    FunctionCallChunk,
    FunctionObject,
    Tool,
    ToolCall,
    ToolName,
    UnknownTool,
    UnknownToolCall,
    UnknownToolChoice,
    UnknownToolFormat,
)
from briggs.types.usage import (
    CompletionTokensDetails,
    CompletionUsage,
    PromptTokensDetails,
)

__all__ = [
    "UNSET",
    "AsyncClient",
    "AudioId",
    "AuthenticationFailed",
    "BriggsError",
    "ChatCompletionAllowedTools",
    "ChatCompletionAllowedToolsChoice",
    "ChatCompletionAudio",
    "ChatCompletionAudioDelta",
    "ChatCompletionAudioParam",
    "ChatCompletionDeleted",
    "ChatCompletionFunctionCallOption",
    "ChatCompletionFunctions",
    "ChatCompletionList",
    "ChatCompletionMessageCustomToolCall",
    "ChatCompletionMessageList",
    "ChatCompletionMessageToolCall",
    "ChatCompletionMessageToolCallChunk",
    "ChatCompletionNamedToolChoice",
    "ChatCompletionNamedToolChoiceCustom",
    "ChatCompletionRequestAssistantMessage",
    "ChatCompletionRequestDeveloperMessage",
    "ChatCompletionRequestFunctionMessage",
    "ChatCompletionRequestMessage",
    "ChatCompletionRequestMessageContentPartAudio",
    "ChatCompletionRequestMessageContentPartFile",
    "ChatCompletionRequestMessageContentPartImage",
    "ChatCompletionRequestMessageContentPartRefusal",
    "ChatCompletionRequestMessageContentPartText",
    "ChatCompletionRequestSystemMessage",
    "ChatCompletionRequestToolMessage",
    "ChatCompletionRequestUserMessage",
    "ChatCompletionResponseMessage",
    "ChatCompletionRole",
    "ChatCompletionStoredMessage",
    "ChatCompletionStreamOptions",
    "ChatCompletionStreamResponseDelta",
    "ChatCompletionTokenLogprob",
    "ChatCompletionTool",
    "ChatCompletionToolChoiceOption",
    "Choice",
    "ChoiceLogprobs",
    "Choices",
    "Client",
    "ClientError",
    "Completion",
    "CompletionTokensDetails",
    "CompletionUsage",
    "ConnectionLost",
    "ContentPart",
    "CreateChatCompletionRequest",
    "CreateChatCompletionResponse",
    "CreateChatCompletionStreamResponse",
    "CustomTool",
    "CustomToolCall",
    "CustomToolChatCompletions",
    "CustomToolFormatGrammar",
    "CustomToolFormatText",
    "CustomToolGrammar",
    "DeleteModelResponse",
    "FinishReason",
    "Fold",
    "FunctionCall",
    "FunctionCallChunk",
    "FunctionObject",
    "ImageUrl",
    "InputAudio",
    "InputFile",
    "InvalidAnswer",
    "InvalidArgument",
    "InvalidCall",
    "JsonSchemaFormat",
    "ListModelsResponse",
    "Logprobs",
    "Model",
    "Moderation",
    "ModerationParam",
    "NotFound",
    "Object",
    "ObjectT",
    "PredictionContent",
    "PromptCacheBreakpoint",
    "PromptCacheOptions",
    "PromptTokensDetails",
    "RawResponse",
    "ReasoningEffort",
    "Refused",
    "ResponseFormat",
    "ResponseFormatJsonObject",
    "ResponseFormatJsonSchema",
    "ResponseFormatText",
    "ServerUnreachable",
    "ServiceTier",
    "StreamChoice",
    "Tool",
    "ToolCall",
    "ToolName",
    "TopLogprobs",
    "Unknown",
    "UnknownAnnotation",
    "UnknownContentPart",
    "UnknownMessage",
    "UnknownResponseFormat",
    "UnknownTool",
    "UnknownToolCall",
    "UnknownToolChoice",
    "UnknownToolFormat",
    "UpdateChatCompletionRequest",
    "UrlCitation",
    "UrlCitationAnnotation",
    "Verbosity",
    "VoiceId",
    "WebSearchLocation",
    "WebSearchOptions",
    "WebSearchUserLocation",
    "__version__",
    "configure",
    "decode",
    "encode",
    "flush",
    "fold",
    "log",
    "session",
    "tags",
    "wrap",
]

__version__: str

if TYPE_CHECKING:
    from briggs.client.client import AsyncClient, RawResponse
    from briggs.client.errors import (
        AuthenticationFailed,
        ClientError,
        ConnectionLost,
        InvalidAnswer,
        InvalidArgument,
        InvalidCall,
        NotFound,
        Refused,
        ServerUnreachable,
    )
    from briggs.client.log import configure, flush, log
    from briggs.client.marks import SessionBlock as session  # noqa: N813
    from briggs.client.marks import TagsBlock as tags  # noqa: N813
    from briggs.client.sync import Client
    from briggs.client.wrap import wrap
else:
    _LATER = {
        "AsyncClient": ("briggs.client.client", "AsyncClient"),
        "AuthenticationFailed": ("briggs.client.errors", "AuthenticationFailed"),
        "Client": ("briggs.client.sync", "Client"),
        "ClientError": ("briggs.client.errors", "ClientError"),
        "ConnectionLost": ("briggs.client.errors", "ConnectionLost"),
        "InvalidAnswer": ("briggs.client.errors", "InvalidAnswer"),
        "InvalidArgument": ("briggs.client.errors", "InvalidArgument"),
        "InvalidCall": ("briggs.client.errors", "InvalidCall"),
        "NotFound": ("briggs.client.errors", "NotFound"),
        "RawResponse": ("briggs.client.client", "RawResponse"),
        "Refused": ("briggs.client.errors", "Refused"),
        "ServerUnreachable": ("briggs.client.errors", "ServerUnreachable"),
        "configure": ("briggs.client.log", "configure"),
        "flush": ("briggs.client.log", "flush"),
        "log": ("briggs.client.log", "log"),
        "session": ("briggs.client.marks", "SessionBlock"),
        "tags": ("briggs.client.marks", "TagsBlock"),
        "wrap": ("briggs.client.wrap", "wrap"),
    }
    """Imported on first use, because the server does not need them."""

    def __getattr__(name: str) -> object:
        # Loading the metadata takes longer than all the imports above.
        if name == "__version__":
            from importlib.metadata import version

            return version("briggs")
        if name in _LATER:
            from importlib import import_module

            module, member = _LATER[name]
            value = globals()[name] = getattr(import_module(module), member)
            return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
