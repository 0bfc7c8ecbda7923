"""The SDK's client: knows the types and the transport, and nothing else of ours."""

from briggs.client.chat import ChatCompletionStream as ChatCompletionStream
from briggs.client.client import AsyncClient as AsyncClient
from briggs.client.completions import CompletionDetails as CompletionDetails
from briggs.client.completions import CompletionFilters as CompletionFilters
from briggs.client.completions import CompletionPage as CompletionPage
from briggs.client.completions import StoredCompletion as StoredCompletion
from briggs.client.errors import AuthenticationFailed as AuthenticationFailed
from briggs.client.errors import ClientError as ClientError
from briggs.client.errors import ConnectionLost as ConnectionLost
from briggs.client.errors import InvalidAnswer as InvalidAnswer
from briggs.client.errors import InvalidCall as InvalidCall
from briggs.client.errors import NotFound as NotFound
from briggs.client.errors import Refused as Refused
from briggs.client.errors import ServerUnreachable as ServerUnreachable
from briggs.client.keys import ApiKey as ApiKey
from briggs.types.models import Model as Model
