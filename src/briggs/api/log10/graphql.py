"""The three GraphQL operations that Log10's clients use."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from inspect import isawaitable
from typing import Any

import msgspec
from graphql import (
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    IntValueNode,
    SelectionSetNode,
    Visitor,
    build_schema,
    execute,
    parse,
    specified_rules,
    validate,
    visit,
)
from graphql.language import DocumentNode
from graphql.validation import NoSchemaIntrospectionCustomRule
from starlette.requests import Request

from briggs.accounts.organizations import confirm_organization
from briggs.accounts.scopes import require
from briggs.api.answers import Json, find_store, read_body
from briggs.api.bodies import read_members
from briggs.api.briggs.test_runs import create_run
from briggs.feedback.feedback import list_feedback
from briggs.feedback.reviewers import find_blinded
from briggs.types.errors import BriggsError, InvalidRequest, NotFound
from briggs.types.feedback import Feedback
from briggs.types.organizations import Organization
from briggs.types.times import iso

logger = logging.getLogger("briggs")

TOKENS_MAX = 1000
DEPTH_MAX = 10
DIGITS_MAX = 20
FIELDS_MAX = 100
PAGE_SIZE_DEFAULT = 25
PAGE_SIZE_MAX = 1000
PAGE_MAX = 2**31 - 1
NAME_LENGTH_MAX = 1000

# Ids are String, not ID, because the clients declare their variables that way.
SCHEMA = build_schema(
    """
    scalar JSON
    type Query { organization(id: String!): Organization }
    type Mutation { createTestRun(input: CreateTestRunInput!): TestRun }
    input CreateTestRunInput { name: String!, organizationId: String! }
    type TestRun {
      id: String!
      name: String!
      createdAt: String!
      reportUploadUrl: String!
      organization: Organization!
    }
    type Organization {
      id: String!
      slug: String!
      name: String!
      completion(id: String!): Completion
      feedbackV2(filter: String, taskId: String, page: Int, limit: Int): FeedbackPage
    }
    type Completion { id: String!, autoFeedback: AutoFeedback }
    type AutoFeedback {
      id: String!
      status: String!
      jsonValues: JSON
      comment: String
      task: FeedbackTask
    }
    type FeedbackTask { id: String!, name: String! }
    type FeedbackPage { pageInfo: PageInfo!, nodes: [Feedback!]! }
    type PageInfo { totalCount: Int!, currentPage: Int! }
    type Feedback {
      id: String!
      jsonValues: JSON!
      comment: String!
      task: FeedbackTask!
      completions: [FeedbackCompletion!]!
    }
    type FeedbackCompletion { id: String! }
    """
)


class _Asked(msgspec.Struct):
    query: str
    variables: dict[str, Any] | None = None
    operationName: str | None = None  # noqa: N815


async def answer(request: Request) -> Json:
    """`POST /graphql`: 200 with `data`, `errors` or both, if the body has a query."""
    asked = read_members(await read_body(request) or b"{}", _Asked)
    try:
        result = await _execute(asked, request)
    except GraphQLError as error:
        result = ExecutionResult(errors=[error])
    answered: dict[str, Any] = {}
    if result.data is not None:
        answered["data"] = result.data
    if result.errors:
        answered["errors"] = [_present_error(error) for error in result.errors]
    return Json(answered)


async def _execute(asked: _Asked, request: Request) -> ExecutionResult:
    try:
        document = parse(asked.query, max_tokens=TOKENS_MAX)
    except RecursionError:
        raise GraphQLError("The query is nested too deeply.") from None
    _check_size(document)
    visit(document, _Numbers())
    if errors := validate(SCHEMA, document, [*specified_rules, NoSchemaIntrospectionCustomRule]):
        return ExecutionResult(errors=errors)
    result = execute(
        SCHEMA,
        document,
        _Root(request),
        variable_values=asked.variables or {},
        operation_name=asked.operationName,
    )
    return await result if isawaitable(result) else result


class _Root:
    """Resolves the top-level fields."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._store = find_store(request)

    async def organization(self, info: Any, *, id: str) -> dict[str, Any]:
        return self._show_organization(await self._confirm(id))

    async def createTestRun(  # noqa: N802
        self, info: Any, *, input: Mapping[str, str]
    ) -> dict[str, Any]:
        require(self._request.state.key, "answer")
        organization = await self._confirm(input["organizationId"])
        if not 0 < len(input["name"]) <= NAME_LENGTH_MAX:
            raise InvalidRequest(f"'name' must have 1 to {NAME_LENGTH_MAX} characters.")
        run, address = await create_run(
            self._request, name=input["name"], organization_id=organization.id
        )
        return {
            "id": run.id,
            "name": run.name,
            "createdAt": iso(run.created_at),
            "reportUploadUrl": address,
            "organization": self._show_organization(organization),
        }

    async def _confirm(self, name: str) -> Organization:
        return await confirm_organization(self._store, [name], key=self._request.state.key)

    def _show_organization(self, organization: Organization) -> dict[str, Any]:
        async def find_completion(info: Any, *, id: str) -> dict[str, Any]:
            found = await self._store.completions.retrieve(id, organization_id=organization.id)
            if found is None:
                raise NotFound(f"There is no completion '{id}'.")
            return {"id": found.id, "autoFeedback": await find_judged(found.id)}

        async def find_judged(id: str) -> dict[str, Any] | None:
            """The newest grade that a model gave, if the key may see it yet."""
            listed, _ = await list_feedback(
                self._store,
                organization_id=organization.id,
                completion_id=id,
                hidden_from=find_blinded(self._request.state.key),
                limit=PAGE_SIZE_MAX,
            )
            judged = next((each for each in listed if each.reviewer_kind == "model"), None)
            return None if judged is None else {**_show_feedback(judged), "status": "predicted"}

        async def list_page(info: Any, **arguments: Any) -> dict[str, Any]:
            page = _read_int(arguments, "page", default=1, maximum=PAGE_MAX)
            limit = _read_int(arguments, "limit", default=PAGE_SIZE_DEFAULT, maximum=PAGE_SIZE_MAX)
            listed, total = await list_feedback(
                self._store,
                organization_id=organization.id,
                task_id=arguments.get("taskId"),
                filter=arguments.get("filter") or None,
                offset=(page - 1) * limit,
                limit=limit,
                hidden_from=find_blinded(self._request.state.key),
            )
            return {
                "pageInfo": {"totalCount": total, "currentPage": page},
                "nodes": [_show_feedback(feedback) for feedback in listed],
            }

        return {
            "id": organization.id,
            "slug": organization.slug,
            "name": organization.name,
            "completion": find_completion,
            "feedbackV2": list_page,
        }


def _show_feedback(feedback: Feedback) -> dict[str, Any]:
    return {
        "id": feedback.id,
        "jsonValues": feedback.json_values,
        "comment": feedback.comment,
        "task": {"id": feedback.task_id, "name": feedback.task_name},
        "completions": [{"id": id} for id in feedback.completion_ids],
    }


def _read_int(arguments: Mapping[str, Any], name: str, *, default: int, maximum: int) -> int:
    value = arguments.get(name)
    if value is None:
        return default
    if not 1 <= value <= maximum:
        raise InvalidRequest(f"'{name}' must be a number from 1 to {maximum}.")
    return int(value)


def _check_size(document: DocumentNode) -> None:
    """Bound the query, which fragments can multiply and nest. Raises `GraphQLError`."""
    fragments = {
        node.name.value: node.selection_set
        for node in document.definitions
        if isinstance(node, FragmentDefinitionNode)
    }
    count = 0

    def walk(selected: SelectionSetNode | None, depth: int) -> None:
        nonlocal count
        for node in () if selected is None else selected.selections:
            count += 1
            if depth > DEPTH_MAX or count > FIELDS_MAX:
                raise GraphQLError(
                    f"A query can have at most {FIELDS_MAX} fields and {DEPTH_MAX} levels, with "
                    "its fragments expanded."
                )
            if isinstance(node, FragmentSpreadNode):
                walk(fragments.get(node.name.value), depth + 1)
            else:
                walk(getattr(node, "selection_set", None), depth + isinstance(node, FieldNode))

    for definition in document.definitions:
        if not isinstance(definition, FragmentDefinitionNode):
            walk(getattr(definition, "selection_set", None), 1)


class _Numbers(Visitor):
    """Refuses numbers with more digits than any field of the schema needs."""

    def enter_int_value(self, node: IntValueNode, *_: object) -> None:
        if len(node.value) > DIGITS_MAX:
            raise GraphQLError(f"A number can have at most {DIGITS_MAX} digits.", node)


def _present_error(error: GraphQLError) -> dict[str, Any]:
    """An error in GraphQL's shape. The details of a defect go to the log only."""
    cause = error.original_error
    presented: dict[str, Any] = {**error.formatted}
    if isinstance(cause, BriggsError):
        presented["extensions"] = {"type": cause.type, "code": cause.code}
    elif cause is not None and not isinstance(cause, GraphQLError):
        logger.error("A GraphQL query failed. This is a defect of Briggs", exc_info=cause)
        presented["message"] = "Briggs failed on this query. The reason is in its log."
    return presented
