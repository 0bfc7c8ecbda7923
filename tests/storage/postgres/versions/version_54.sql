SELECT pg_catalog.set_config('search_path', '', false);
CREATE FUNCTION public.briggs_index_key(text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$ SELECT CASE WHEN octet_length($1) <= 1000 THEN $1 ELSE
        left($1, 200) || chr(26) || '#' || encode(
            sha256(decode(replace($1, chr(92), chr(92) || chr(92)), 'escape')), 'hex') END $_$;
CREATE FUNCTION public.briggs_json_length(text) RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $_$ SELECT json_array_length($1::json) $_$;
CREATE TABLE public.alert_states (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    is_firing boolean NOT NULL,
    since_at bigint NOT NULL,
    value double precision NOT NULL
);
CREATE TABLE public.allowances (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    holder text NOT NULL COLLATE pg_catalog."C",
    holder_id text NOT NULL COLLATE pg_catalog."C",
    node_id text NOT NULL COLLATE pg_catalog."C",
    requests bigint NOT NULL,
    tokens bigint NOT NULL,
    calls bigint NOT NULL,
    nanodollars bigint NOT NULL
);
CREATE TABLE public.backfills (
    name text NOT NULL COLLATE pg_catalog."C",
    after_organization_id text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    after_id text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.changes (
    name text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL
);
CREATE TABLE public.completion_metadata (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    completion_id text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.completion_rules (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    rule text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    completion_id text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.completion_tags (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    tag text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    completion_id text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.completions (
    id text NOT NULL COLLATE pg_catalog."C",
    organization_id text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    status text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    source text DEFAULT 'gateway'::text NOT NULL COLLATE pg_catalog."C",
    stream boolean NOT NULL,
    provider text COLLATE pg_catalog."C",
    model text NOT NULL COLLATE pg_catalog."C",
    response_model text COLLATE pg_catalog."C",
    response_id text COLLATE pg_catalog."C",
    system_fingerprint text COLLATE pg_catalog."C",
    seed numeric,
    "user" text COLLATE pg_catalog."C",
    session_id text COLLATE pg_catalog."C",
    tags text,
    metadata text,
    finish_reasons text,
    violates text,
    fixes text,
    dropped text,
    prompt_tokens numeric,
    completion_tokens numeric,
    total_tokens numeric,
    cached_tokens numeric,
    cache_write_tokens numeric,
    reasoning_tokens numeric,
    usage_source text COLLATE pg_catalog."C",
    cost_usd double precision,
    price_source text COLLATE pg_catalog."C",
    duration_ms double precision,
    first_token_ms double precision,
    caller_left_ms double precision,
    p_mean double precision,
    p_least double precision,
    key_id text COLLATE pg_catalog."C",
    preview text COLLATE pg_catalog."C",
    attempts text,
    retry_count numeric NOT NULL,
    retry_of text COLLATE pg_catalog."C",
    http_status numeric,
    failure_kind text COLLATE pg_catalog."C",
    failure_reason text COLLATE pg_catalog."C",
    call_site text,
    start_reported boolean DEFAULT false NOT NULL,
    bodies_deleted_at bigint,
    redacted text,
    owner text COLLATE pg_catalog."C",
    encoding smallint DEFAULT 0 NOT NULL,
    request bytea NOT NULL,
    response bytea,
    received bytea
)
PARTITION BY RANGE (id);
CREATE TABLE public.completions_rest (
    id text NOT NULL COLLATE pg_catalog."C",
    organization_id text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    status text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    source text DEFAULT 'gateway'::text NOT NULL COLLATE pg_catalog."C",
    stream boolean NOT NULL,
    provider text COLLATE pg_catalog."C",
    model text NOT NULL COLLATE pg_catalog."C",
    response_model text COLLATE pg_catalog."C",
    response_id text COLLATE pg_catalog."C",
    system_fingerprint text COLLATE pg_catalog."C",
    seed numeric,
    "user" text COLLATE pg_catalog."C",
    session_id text COLLATE pg_catalog."C",
    tags text,
    metadata text,
    finish_reasons text,
    violates text,
    fixes text,
    dropped text,
    prompt_tokens numeric,
    completion_tokens numeric,
    total_tokens numeric,
    cached_tokens numeric,
    cache_write_tokens numeric,
    reasoning_tokens numeric,
    usage_source text COLLATE pg_catalog."C",
    cost_usd double precision,
    price_source text COLLATE pg_catalog."C",
    duration_ms double precision,
    first_token_ms double precision,
    caller_left_ms double precision,
    p_mean double precision,
    p_least double precision,
    key_id text COLLATE pg_catalog."C",
    preview text COLLATE pg_catalog."C",
    attempts text,
    retry_count numeric NOT NULL,
    retry_of text COLLATE pg_catalog."C",
    http_status numeric,
    failure_kind text COLLATE pg_catalog."C",
    failure_reason text COLLATE pg_catalog."C",
    call_site text,
    start_reported boolean DEFAULT false NOT NULL,
    bodies_deleted_at bigint,
    redacted text,
    owner text COLLATE pg_catalog."C",
    encoding smallint DEFAULT 0 NOT NULL,
    request bytea NOT NULL,
    response bytea,
    received bytea
);
CREATE TABLE public.copied_from (
    id text NOT NULL COLLATE pg_catalog."C",
    source text NOT NULL COLLATE pg_catalog."C",
    run text NOT NULL COLLATE pg_catalog."C",
    is_complete boolean NOT NULL,
    begun_at bigint NOT NULL
);
CREATE TABLE public.dataset_samples (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    dataset_id text NOT NULL COLLATE pg_catalog."C",
    number integer NOT NULL,
    sample bytea NOT NULL
);
CREATE TABLE public.datasets (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    version integer NOT NULL,
    created_at bigint NOT NULL,
    source text NOT NULL COLLATE pg_catalog."C",
    samples integer NOT NULL,
    bytes bigint NOT NULL,
    hash text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.deleted_completions (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL
);
CREATE TABLE public.deliveries (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    webhook text COLLATE pg_catalog."C",
    email text COLLATE pg_catalog."C",
    body text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    attempts integer NOT NULL,
    next_at bigint NOT NULL,
    failure text COLLATE pg_catalog."C"
);
CREATE TABLE public.drift_changes (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    watch_id text NOT NULL COLLATE pg_catalog."C",
    at bigint NOT NULL,
    from_at bigint NOT NULL,
    until_at bigint NOT NULL,
    p double precision NOT NULL,
    mean_square double precision NOT NULL,
    largest double precision NOT NULL,
    moved text NOT NULL,
    probes integer NOT NULL,
    evidence text NOT NULL COLLATE pg_catalog."C",
    fingerprints_before text NOT NULL,
    fingerprints_now text NOT NULL,
    duration_ms_before double precision,
    duration_ms_now double precision,
    seeded_repeats_before double precision,
    seeded_repeats_now double precision,
    seeded_repeats_across double precision
);
CREATE TABLE public.drift_rounds (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    watch_id text NOT NULL COLLATE pg_catalog."C",
    at bigint NOT NULL,
    logprobs text NOT NULL,
    texts text NOT NULL,
    fingerprints text NOT NULL,
    completion_ids text NOT NULL,
    duration_ms double precision,
    completion_tokens double precision,
    failures integer NOT NULL,
    p double precision,
    seeded_repeats double precision
);
CREATE TABLE public.drift_watches (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    target text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    every_s double precision NOT NULL,
    window_rounds integer NOT NULL,
    is_from_file boolean NOT NULL,
    is_paused boolean NOT NULL,
    evidence text COLLATE pg_catalog."C",
    tokens text NOT NULL,
    asked_at bigint NOT NULL,
    failure text COLLATE pg_catalog."C",
    source text DEFAULT 'probes'::text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.eval_answers (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    run_id text NOT NULL COLLATE pg_catalog."C",
    sample integer NOT NULL,
    target text NOT NULL COLLATE pg_catalog."C",
    repeat integer NOT NULL,
    status text NOT NULL COLLATE pg_catalog."C",
    completion_id text COLLATE pg_catalog."C",
    request_hash text NOT NULL COLLATE pg_catalog."C",
    is_cached boolean NOT NULL,
    failure_kind text COLLATE pg_catalog."C",
    failure_reason text COLLATE pg_catalog."C",
    is_cut boolean NOT NULL,
    prompt_tokens numeric,
    completion_tokens numeric,
    cost_usd double precision,
    duration_ms double precision,
    scores text
);
CREATE TABLE public.eval_runs (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    finished_at bigint,
    status text NOT NULL COLLATE pg_catalog."C",
    failure text NOT NULL COLLATE pg_catalog."C",
    dataset_id text NOT NULL COLLATE pg_catalog."C",
    dataset text NOT NULL COLLATE pg_catalog."C",
    samples integer NOT NULL,
    targets text NOT NULL,
    scorers text NOT NULL,
    repeats integer NOT NULL,
    parameters text NOT NULL,
    concurrency integer NOT NULL,
    fresh boolean NOT NULL,
    key_id text COLLATE pg_catalog."C",
    plan_hash text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.feedback (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    task_id text NOT NULL COLLATE pg_catalog."C",
    task_version integer NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version integer NOT NULL,
    reviewer text NOT NULL COLLATE pg_catalog."C",
    reviewer_kind text NOT NULL COLLATE pg_catalog."C",
    json_values text NOT NULL,
    comment text NOT NULL COLLATE pg_catalog."C",
    rationale text NOT NULL,
    corrected_output text NOT NULL,
    idempotency_key text COLLATE pg_catalog."C",
    idempotency_hash bytea,
    suggestion text,
    selection_chance double precision
);
CREATE TABLE public.feedback_completions (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    task_id text NOT NULL COLLATE pg_catalog."C",
    completion_id text NOT NULL COLLATE pg_catalog."C",
    reviewer text NOT NULL COLLATE pg_catalog."C",
    feedback_id text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.feedback_counts (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    task_id text NOT NULL COLLATE pg_catalog."C",
    matching bigint NOT NULL,
    "left" bigint NOT NULL
);
CREATE TABLE public.feedback_leases (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    task_id text NOT NULL COLLATE pg_catalog."C",
    completion_id text NOT NULL COLLATE pg_catalog."C",
    reviewer text NOT NULL COLLATE pg_catalog."C",
    expires_at bigint NOT NULL,
    chance double precision
);
CREATE TABLE public.feedback_marks (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    task_id text NOT NULL COLLATE pg_catalog."C",
    mark text NOT NULL COLLATE pg_catalog."C",
    counted_to text DEFAULT ''::text COLLATE pg_catalog."C"
);
CREATE TABLE public.feedback_queue (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    task_id text NOT NULL COLLATE pg_catalog."C",
    completion_id text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    model text NOT NULL COLLATE pg_catalog."C",
    response_model text COLLATE pg_catalog."C",
    mean_logprob double precision,
    place bigint NOT NULL,
    reviews integer NOT NULL,
    open boolean NOT NULL,
    chance double precision,
    turn double precision
);
CREATE TABLE public.feedback_skips (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    task_id text NOT NULL COLLATE pg_catalog."C",
    completion_id text NOT NULL COLLATE pg_catalog."C",
    reviewer text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    reason text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.feedback_sums (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    task_id text NOT NULL COLLATE pg_catalog."C",
    version integer NOT NULL,
    hash bytea NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    total bigint NOT NULL
);
CREATE TABLE public.feedback_task_versions (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    task_id text NOT NULL COLLATE pg_catalog."C",
    version integer NOT NULL,
    created_at bigint NOT NULL,
    instruction text NOT NULL COLLATE pg_catalog."C",
    json_schema text NOT NULL
);
CREATE TABLE public.feedback_tasks (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    archived_at bigint,
    version integer NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    instruction text NOT NULL COLLATE pg_catalog."C",
    json_schema text NOT NULL,
    completion_tags_selector text NOT NULL,
    counts_from integer DEFAULT 1 NOT NULL,
    reviewers_wanted integer NOT NULL,
    blind boolean NOT NULL,
    fill_created_at bigint,
    fill_id text COLLATE pg_catalog."C",
    hide_model boolean DEFAULT false NOT NULL,
    kind text DEFAULT 'grade'::text NOT NULL COLLATE pg_catalog."C",
    suggesting_judge text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    suggesting_version integer DEFAULT 0 NOT NULL,
    "order" text DEFAULT 'oldest'::text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.feedback_together (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    task_id text NOT NULL COLLATE pg_catalog."C",
    completion_id text NOT NULL COLLATE pg_catalog."C",
    version integer NOT NULL,
    differing integer NOT NULL,
    running boolean NOT NULL,
    counts bytea NOT NULL
);
CREATE TABLE public.feedback_versions (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    feedback_id text NOT NULL COLLATE pg_catalog."C",
    version integer NOT NULL,
    created_at bigint NOT NULL,
    json_values text NOT NULL,
    comment text NOT NULL COLLATE pg_catalog."C",
    rationale text NOT NULL,
    corrected_output text NOT NULL
);
CREATE TABLE public.hours (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    hour bigint NOT NULL,
    token text NOT NULL COLLATE pg_catalog."C",
    zone bytea
);
CREATE TABLE public.judge_runs (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    judge_id text NOT NULL COLLATE pg_catalog."C",
    version integer NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    status text NOT NULL COLLATE pg_catalog."C",
    filter text NOT NULL COLLATE pg_catalog."C",
    "limit" integer,
    budget_usd double precision,
    matching integer NOT NULL,
    is_counted boolean NOT NULL,
    judged integer NOT NULL,
    copied integer NOT NULL,
    failed integer NOT NULL,
    failures text NOT NULL,
    cost_usd double precision NOT NULL,
    unpriced integer NOT NULL,
    message text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.judge_versions (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    judge_id text NOT NULL COLLATE pg_catalog."C",
    version integer NOT NULL,
    created_at bigint NOT NULL,
    model text NOT NULL COLLATE pg_catalog."C",
    task_version integer NOT NULL,
    json_schema text NOT NULL,
    prompt text NOT NULL COLLATE pg_catalog."C",
    mark text NOT NULL COLLATE pg_catalog."C",
    examples text NOT NULL,
    examples_shown integer NOT NULL,
    samples integer NOT NULL,
    max_tokens integer NOT NULL,
    options text NOT NULL
);
CREATE TABLE public.judgements (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    judge_id text NOT NULL COLLATE pg_catalog."C",
    version integer NOT NULL,
    completion_id text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    asked bytea NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    attempts integer NOT NULL,
    call_ids text NOT NULL,
    cost_usd double precision,
    system_fingerprint text COLLATE pg_catalog."C",
    scores text NOT NULL,
    probabilities text NOT NULL,
    mass double precision,
    example_ids text NOT NULL,
    failure text COLLATE pg_catalog."C",
    failure_reason text COLLATE pg_catalog."C",
    is_copy boolean NOT NULL,
    feedback_id text COLLATE pg_catalog."C"
);
CREATE TABLE public.judges (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    task_id text NOT NULL COLLATE pg_catalog."C",
    version integer NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    archived_at bigint,
    watch text NOT NULL
);
CREATE TABLE public.keys (
    id text NOT NULL COLLATE pg_catalog."C",
    organization_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    hash bytea NOT NULL,
    redacted_value text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    last_used_at bigint,
    scopes text DEFAULT 'answer,read,grade,admin'::text NOT NULL,
    expires_at bigint,
    task_id text COLLATE pg_catalog."C",
    limits text
);
CREATE TABLE public.lake_deletions (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    demanded_at bigint NOT NULL,
    query text NOT NULL
);
CREATE TABLE public.leases (
    name text NOT NULL COLLATE pg_catalog."C",
    node_id text NOT NULL COLLATE pg_catalog."C",
    until bigint NOT NULL,
    term bigint DEFAULT 0 NOT NULL
);
CREATE TABLE public.migrations (
    number integer NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    applied_at bigint NOT NULL
);
CREATE TABLE public.node_messages (
    id text NOT NULL COLLATE pg_catalog."C",
    sender_id text NOT NULL COLLATE pg_catalog."C",
    sent_at bigint NOT NULL,
    content bytea NOT NULL
);
CREATE TABLE public.nodes (
    id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    folder_id text NOT NULL COLLATE pg_catalog."C",
    process text NOT NULL COLLATE pg_catalog."C",
    started_at bigint NOT NULL,
    alive_until bigint NOT NULL,
    has_left boolean DEFAULT false NOT NULL,
    seen_at bigint DEFAULT 0 NOT NULL,
    version text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.organizations (
    id text NOT NULL COLLATE pg_catalog."C",
    slug text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL
);
CREATE TABLE public.pieces (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    hash bytea NOT NULL,
    uses integer NOT NULL,
    content bytea NOT NULL
);
CREATE TABLE public.probes (
    id text NOT NULL COLLATE pg_catalog."C",
    content bytea NOT NULL
);
CREATE TABLE public.prompt_completions (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    prompt_id text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    completion_id text NOT NULL COLLATE pg_catalog."C",
    version integer NOT NULL
);
CREATE TABLE public.prompt_versions (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    prompt_id text NOT NULL COLLATE pg_catalog."C",
    version integer NOT NULL,
    created_at bigint NOT NULL,
    template text NOT NULL,
    decided_by text NOT NULL COLLATE pg_catalog."C",
    of_version integer,
    distance double precision
);
CREATE TABLE public.prompts (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    last_version integer DEFAULT 0 NOT NULL,
    sorted_to bigint NOT NULL
);
CREATE TABLE public.rollup_changes (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    begin_at bigint NOT NULL,
    model text NOT NULL COLLATE pg_catalog."C",
    provider text NOT NULL COLLATE pg_catalog."C",
    tally text NOT NULL COLLATE pg_catalog."C",
    spent text COLLATE pg_catalog."C"
);
CREATE TABLE public.rollup_fills (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    until_at bigint NOT NULL,
    begun_at bigint NOT NULL,
    oldest_at bigint NOT NULL
);
CREATE TABLE public.rollups (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    span text NOT NULL COLLATE pg_catalog."C",
    begin_at bigint NOT NULL,
    model text NOT NULL COLLATE pg_catalog."C",
    provider text NOT NULL COLLATE pg_catalog."C",
    tally text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.search_segments (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    begin_at bigint NOT NULL,
    end_at bigint NOT NULL,
    rows integer NOT NULL,
    blocks bytea NOT NULL,
    opaque bytea NOT NULL,
    words bytea NOT NULL,
    postings bytea NOT NULL
);
CREATE TABLE public.search_summaries (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    begin_at bigint NOT NULL,
    end_at bigint NOT NULL,
    rows integer NOT NULL,
    blocks bytea NOT NULL,
    opaque bytea NOT NULL,
    words bytea NOT NULL,
    postings bytea NOT NULL
);
ALTER TABLE ONLY public.search_summaries ALTER COLUMN words SET STORAGE EXTERNAL;
CREATE TABLE public.sessions (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL
);
CREATE TABLE public.sign_ins (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    hash bytea NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    key_id text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL
);
CREATE TABLE public.signed_calls (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    call_id text NOT NULL COLLATE pg_catalog."C",
    completion_id text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.spending (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    day bigint NOT NULL,
    holder text NOT NULL COLLATE pg_catalog."C",
    holder_id text NOT NULL COLLATE pg_catalog."C",
    cost_nanodollars bigint NOT NULL
);
CREATE TABLE public.test_runs (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    upload_hash text NOT NULL COLLATE pg_catalog."C",
    upload_expires_at bigint NOT NULL,
    reported_at bigint,
    report bytea
);
CREATE TABLE public.views (
    organization_id text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    state text NOT NULL COLLATE pg_catalog."C"
);
ALTER TABLE ONLY public.completions ATTACH PARTITION public.completions_rest DEFAULT;
INSERT INTO public.changes VALUES ('record', 0);
INSERT INTO public.completion_metadata VALUES ('default', 'k', 'v', 1790000000000000, '0199d5a0-0000-7000-8000-000000000001');
INSERT INTO public.completion_tags VALUES ('default', 'a', 1790000000000000, '0199d5a0-0000-7000-8000-000000000001');
INSERT INTO public.completion_tags VALUES ('default', 'b', 1790000000000000, '0199d5a0-0000-7000-8000-000000000001');
INSERT INTO public.completion_tags VALUES ('default', 'long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long #795c576321f6da5c747bc0c9e4eb3222b929aef74544e2b45020eff2baabc464', 1790000000000000, '0199d5a0-0000-7000-8000-000000000001');
INSERT INTO public.completions_rest VALUES ('0199d5a0-0000-7000-8000-000000000001', 'default', 1790000000000000, 'finished', 'chat', 'gateway', false, NULL, 'openai/gpt-4o', NULL, 'chatcmpl-1', NULL, NULL, NULL, 'long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long ', '["a","b","long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long "]', '{"k":"v"}', '["stop"]', NULL, NULL, NULL, NULL, NULL, 3, NULL, NULL, NULL, NULL, 0.5, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, false, NULL, NULL, NULL, 1, '\x28b52ffd2799780150277d0000105d7d037c0014e56daf59d2e153015a8c9f15', '\x28b52ffd2799780150156500002831227d00ff01003a8f1c20c4c61d2e', NULL);
INSERT INTO public.completions_rest VALUES ('mine', 'default', 1790000000000002, 'failed', 'chat', 'gateway', false, NULL, 'm', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, 'upstream', NULL, NULL, false, NULL, NULL, NULL, 1, '\x28b52ffd2799780150021100007b7dd194f27a', NULL, NULL);
INSERT INTO public.completions_rest VALUES ('0199d5a0-0000-7000-8000-000000000002', 'default', 1790000000000001, 'started', 'chat', 'gateway', true, NULL, 'openai/gpt-4o', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, false, NULL, NULL, '536dd29b-682a-40a5-9994-3d30a2613074 30176 1582063', 0, '\x7b7d', NULL, NULL);
INSERT INTO public.migrations VALUES (1, 'record_completions', 1795990811718935);
INSERT INTO public.migrations VALUES (2, 'find_completions_by_tag_and_metadata', 1795990811751176);
INSERT INTO public.migrations VALUES (3, 'remember_where_deleted_completions_stood', 1795990811771985);
INSERT INTO public.migrations VALUES (4, 'compress_bodies_later', 1795990811786310);
INSERT INTO public.migrations VALUES (5, 'recognise_keys', 1795990811804303);
INSERT INTO public.migrations VALUES (6, 'probe_a_store_that_failed', 1795990811819845);
INSERT INTO public.migrations VALUES (7, 'record_attempts_violations_and_prices', 1795990811840305);
INSERT INTO public.migrations VALUES (8, 'find_completions_by_rule', 1795990811850899);
INSERT INTO public.migrations VALUES (9, 'tell_organizations_apart', 1795990811900546);
INSERT INTO public.migrations VALUES (10, 'grade_completions', 1795990812050043);
INSERT INTO public.migrations VALUES (11, 'keep_test_runs', 1795990812084933);
INSERT INTO public.migrations VALUES (12, 'note_callers_who_left', 1795990812102030);
INSERT INTO public.migrations VALUES (13, 'find_signed_calls', 1795990812126475);
INSERT INTO public.migrations VALUES (14, 'hide_models_from_reviewers', 1795990812140393);
INSERT INTO public.migrations VALUES (15, 'name_owners_and_reported_starts', 1795990812156462);
INSERT INTO public.migrations VALUES (16, 'bind_keys_to_tasks', 1795990812168146);
INSERT INTO public.migrations VALUES (17, 'show_completions_without_their_bodies', 1795990812183254);
INSERT INTO public.migrations VALUES (18, 'roll_up_completions', 1795990812246680);
INSERT INTO public.migrations VALUES (19, 'tell_kinds_of_tasks_apart', 1795990812267763);
INSERT INTO public.migrations VALUES (20, 'ask_reviewers_again', 1795990812283525);
INSERT INTO public.migrations VALUES (21, 'name_lists_of_completions', 1795990812324079);
INSERT INTO public.migrations VALUES (22, 'filter_and_sort_completions_by_an_index', 1795990812354664);
INSERT INTO public.migrations VALUES (23, 'end_sessions_on_the_server', 1795990812374852);
INSERT INTO public.migrations VALUES (24, 'find_the_retries_of_a_call', 1795990812401798);
INSERT INTO public.migrations VALUES (25, 'sum_what_was_spent', 1795990812429094);
INSERT INTO public.migrations VALUES (26, 'keep_bodies_for_a_time', 1795990812446525);
INSERT INTO public.migrations VALUES (27, 'tell_of_alerts', 1795990812472327);
INSERT INTO public.migrations VALUES (28, 'keep_datasets', 1795990812497858);
INSERT INTO public.migrations VALUES (29, 'learn_from_grades', 1795990812562525);
INSERT INTO public.migrations VALUES (30, 'count_queues', 1795990812592363);
INSERT INTO public.migrations VALUES (31, 'run_evals', 1795990812630312);
INSERT INTO public.migrations VALUES (32, 'find_words_by_an_index', 1795990812644319);
INSERT INTO public.migrations VALUES (33, 'lead_every_key_with_the_organization', 1795990812705307);
INSERT INTO public.migrations VALUES (34, 'watch_drift', 1795990812747628);
INSERT INTO public.migrations VALUES (35, 'filter_completions_by_anything_in_an_index', 1795990812762321);
INSERT INTO public.migrations VALUES (36, 'store_histories_once', 1795990812777326);
INSERT INTO public.migrations VALUES (37, 'copy_records', 1795990812788325);
INSERT INTO public.migrations VALUES (38, 'name_prompts', 1796013527665029);
INSERT INTO public.migrations VALUES (39, 'share_a_database_between_nodes', 1796013534800780);
INSERT INTO public.migrations VALUES (40, 'suggest_to_reviewers', 1796013547127657);
INSERT INTO public.migrations VALUES (41, 'find_long_texts_by_what_fits_into_an_index', 1796013559515541);
INSERT INTO public.migrations VALUES (42, 'tell_the_lake_what_to_delete', 1796013571393207);
INSERT INTO public.migrations VALUES (43, 'keep_completions_in_partitions', 1796013582176026);
INSERT INTO public.migrations VALUES (44, 'ask_first_what_tells_most', 1796013594450085);
INSERT INTO public.migrations VALUES (45, 'watch_drift_of_traffic', 1796013609327394);
INSERT INTO public.migrations VALUES (46, 'count_the_terms_of_keepers', 1796013621011894);
INSERT INTO public.migrations VALUES (47, 'drop_minutes_that_may_lack_some', 1796013631069671);
INSERT INTO public.migrations VALUES (48, 'tell_when_nodes_were_seen', 1796013638745356);
INSERT INTO public.migrations VALUES (49, 'keep_what_hours_have', 1796010000000049);
INSERT INTO public.migrations VALUES (50, 'mark_changes_of_feedback', 1796010000000050);
INSERT INTO public.migrations VALUES (51, 'sign_in_on_every_server', 1796010000000051);
INSERT INTO public.migrations VALUES (52, 'count_seeded_repeats', 1796010000000052);
INSERT INTO public.migrations VALUES (53, 'sum_up_what_reviewers_say', 1796010000000053);
INSERT INTO public.migrations VALUES (54, 'sum_up_the_words_of_many_segments', 1796010000000054);
INSERT INTO public.organizations VALUES ('default', 'default', 'Default', 1795990811894752);
INSERT INTO public.rollups VALUES ('default', 'hour', 1789999200000000, '', '', '{"calls":2,"failed":1,"failures":{"upstream":1},"cost_nanodollars":500000000,"priced":1}');
INSERT INTO public.sessions VALUES ('default', 'long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long #795c576321f6da5c747bc0c9e4eb3222b929aef74544e2b45020eff2baabc464', 1790000000000000);
ALTER TABLE ONLY public.alert_states
    ADD CONSTRAINT alert_states_pkey PRIMARY KEY (organization_id, name);
ALTER TABLE ONLY public.allowances
    ADD CONSTRAINT allowances_pkey PRIMARY KEY (organization_id, holder, holder_id, node_id);
ALTER TABLE ONLY public.backfills
    ADD CONSTRAINT backfills_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.changes
    ADD CONSTRAINT changes_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.completion_metadata
    ADD CONSTRAINT completion_metadata_pkey PRIMARY KEY (organization_id, key, value, created_at, completion_id);
ALTER TABLE ONLY public.completion_rules
    ADD CONSTRAINT completion_rules_pkey PRIMARY KEY (organization_id, rule, created_at, completion_id);
ALTER TABLE ONLY public.completion_tags
    ADD CONSTRAINT completion_tags_pkey PRIMARY KEY (organization_id, tag, created_at, completion_id);
ALTER TABLE ONLY public.completions
    ADD CONSTRAINT completions_pkey PRIMARY KEY (organization_id, id);
ALTER TABLE ONLY public.copied_from
    ADD CONSTRAINT copied_from_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.dataset_samples
    ADD CONSTRAINT dataset_samples_pkey PRIMARY KEY (organization_id, dataset_id, number);
ALTER TABLE ONLY public.datasets
    ADD CONSTRAINT datasets_pkey PRIMARY KEY (organization_id, id);
ALTER TABLE ONLY public.deleted_completions
    ADD CONSTRAINT deleted_completions_pkey PRIMARY KEY (organization_id, id);
ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT deliveries_pkey PRIMARY KEY (organization_id, id);
ALTER TABLE ONLY public.drift_changes
    ADD CONSTRAINT drift_changes_pkey PRIMARY KEY (organization_id, watch_id, at);
ALTER TABLE ONLY public.drift_rounds
    ADD CONSTRAINT drift_rounds_pkey PRIMARY KEY (organization_id, watch_id, at);
ALTER TABLE ONLY public.drift_watches
    ADD CONSTRAINT drift_watches_pkey PRIMARY KEY (organization_id, id);
ALTER TABLE ONLY public.eval_answers
    ADD CONSTRAINT eval_answers_pkey PRIMARY KEY (organization_id, run_id, sample, target, repeat);
ALTER TABLE ONLY public.eval_runs
    ADD CONSTRAINT eval_runs_pkey PRIMARY KEY (organization_id, id);
ALTER TABLE ONLY public.feedback_completions
    ADD CONSTRAINT feedback_completions_pkey PRIMARY KEY (organization_id, task_id, completion_id, reviewer, feedback_id);
ALTER TABLE ONLY public.feedback_counts
    ADD CONSTRAINT feedback_counts_pkey PRIMARY KEY (organization_id, task_id);
ALTER TABLE ONLY public.feedback_leases
    ADD CONSTRAINT feedback_leases_pkey PRIMARY KEY (organization_id, task_id, completion_id, reviewer);
ALTER TABLE ONLY public.feedback_marks
    ADD CONSTRAINT feedback_marks_pkey PRIMARY KEY (organization_id, task_id);
ALTER TABLE ONLY public.feedback
    ADD CONSTRAINT feedback_pkey PRIMARY KEY (organization_id, id);
ALTER TABLE ONLY public.feedback_queue
    ADD CONSTRAINT feedback_queue_pkey PRIMARY KEY (organization_id, task_id, completion_id);
ALTER TABLE ONLY public.feedback_skips
    ADD CONSTRAINT feedback_skips_pkey PRIMARY KEY (organization_id, task_id, completion_id, reviewer);
ALTER TABLE ONLY public.feedback_sums
    ADD CONSTRAINT feedback_sums_pkey PRIMARY KEY (organization_id, task_id, version, hash);
ALTER TABLE ONLY public.feedback_task_versions
    ADD CONSTRAINT feedback_task_versions_pkey PRIMARY KEY (organization_id, task_id, version);
ALTER TABLE ONLY public.feedback_tasks
    ADD CONSTRAINT feedback_tasks_pkey PRIMARY KEY (organization_id, id);
ALTER TABLE ONLY public.feedback_together
    ADD CONSTRAINT feedback_together_pkey PRIMARY KEY (organization_id, task_id, completion_id, version);
ALTER TABLE ONLY public.feedback_versions
    ADD CONSTRAINT feedback_versions_pkey PRIMARY KEY (organization_id, feedback_id, version);
ALTER TABLE ONLY public.hours
    ADD CONSTRAINT hours_pkey PRIMARY KEY (organization_id, hour);
ALTER TABLE ONLY public.judge_runs
    ADD CONSTRAINT judge_runs_pkey PRIMARY KEY (organization_id, id);
ALTER TABLE ONLY public.judge_versions
    ADD CONSTRAINT judge_versions_pkey PRIMARY KEY (organization_id, judge_id, version);
ALTER TABLE ONLY public.judgements
    ADD CONSTRAINT judgements_pkey PRIMARY KEY (organization_id, judge_id, version, completion_id);
ALTER TABLE ONLY public.judges
    ADD CONSTRAINT judges_pkey PRIMARY KEY (organization_id, id);
ALTER TABLE ONLY public.keys
    ADD CONSTRAINT keys_hash_key UNIQUE (hash);
ALTER TABLE ONLY public.keys
    ADD CONSTRAINT keys_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.lake_deletions
    ADD CONSTRAINT lake_deletions_pkey PRIMARY KEY (organization_id, id);
ALTER TABLE ONLY public.leases
    ADD CONSTRAINT leases_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (number);
ALTER TABLE ONLY public.node_messages
    ADD CONSTRAINT node_messages_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.nodes
    ADD CONSTRAINT nodes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.organizations
    ADD CONSTRAINT organizations_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.organizations
    ADD CONSTRAINT organizations_slug_key UNIQUE (slug);
ALTER TABLE ONLY public.pieces
    ADD CONSTRAINT pieces_pkey PRIMARY KEY (organization_id, hash);
ALTER TABLE ONLY public.probes
    ADD CONSTRAINT probes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.prompt_completions
    ADD CONSTRAINT prompt_completions_pkey PRIMARY KEY (organization_id, prompt_id, created_at, completion_id);
ALTER TABLE ONLY public.prompt_versions
    ADD CONSTRAINT prompt_versions_pkey PRIMARY KEY (organization_id, prompt_id, version);
ALTER TABLE ONLY public.prompts
    ADD CONSTRAINT prompts_pkey PRIMARY KEY (organization_id, id);
ALTER TABLE ONLY public.completions_rest
    ADD CONSTRAINT rest_completions_pkey PRIMARY KEY (organization_id, id);
ALTER TABLE ONLY public.rollup_changes
    ADD CONSTRAINT rollup_changes_pkey PRIMARY KEY (organization_id, id);
ALTER TABLE ONLY public.rollup_fills
    ADD CONSTRAINT rollup_fills_pkey PRIMARY KEY (organization_id);
ALTER TABLE ONLY public.rollups
    ADD CONSTRAINT rollups_pkey PRIMARY KEY (organization_id, span, begin_at, model, provider);
ALTER TABLE ONLY public.search_segments
    ADD CONSTRAINT search_segments_pkey PRIMARY KEY (organization_id, begin_at);
ALTER TABLE ONLY public.search_summaries
    ADD CONSTRAINT search_summaries_pkey PRIMARY KEY (organization_id, begin_at);
ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (organization_id, id);
ALTER TABLE ONLY public.sign_ins
    ADD CONSTRAINT sign_ins_pkey PRIMARY KEY (organization_id, hash);
ALTER TABLE ONLY public.signed_calls
    ADD CONSTRAINT signed_calls_pkey PRIMARY KEY (organization_id, call_id, completion_id);
ALTER TABLE ONLY public.spending
    ADD CONSTRAINT spending_pkey PRIMARY KEY (organization_id, day, holder, holder_id);
ALTER TABLE ONLY public.test_runs
    ADD CONSTRAINT test_runs_pkey PRIMARY KEY (organization_id, id);
ALTER TABLE ONLY public.views
    ADD CONSTRAINT views_pkey PRIMARY KEY (organization_id, id);
CREATE INDEX completions_by_first_try ON ONLY public.completions USING btree (organization_id, retry_of, retry_count) WHERE (retry_of IS NOT NULL);
CREATE INDEX completions_by_response_id ON ONLY public.completions USING btree (organization_id, public.briggs_index_key(response_id), created_at) WHERE ((encoding = 1) AND (response_id IS NOT NULL));
CREATE INDEX completions_by_session ON ONLY public.completions USING btree (organization_id, public.briggs_index_key(session_id), created_at) WHERE (session_id IS NOT NULL);
CREATE INDEX completions_by_time ON ONLY public.completions USING btree (organization_id, created_at, id) INCLUDE (status, total_tokens, cost_usd, duration_ms, p_mean, p_least, stream, http_status, retry_count, first_token_ms, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens);
CREATE INDEX completions_left_by_caller ON ONLY public.completions USING btree (organization_id, created_at) WHERE (caller_left_ms IS NOT NULL);
CREATE INDEX completions_mended ON ONLY public.completions USING btree (organization_id, created_at) WHERE (fixes IS NOT NULL);
CREATE INDEX completions_started ON ONLY public.completions USING btree (organization_id, status, created_at) WHERE (status = 'started'::text);
CREATE INDEX completions_to_compress ON ONLY public.completions USING btree (organization_id, encoding, created_at) WHERE ((encoding = 0) AND (status <> 'started'::text));
CREATE INDEX completions_tried_again ON ONLY public.completions USING btree (organization_id, created_at) WHERE (public.briggs_json_length(attempts) > 1);
CREATE INDEX completions_with_broken_rules ON ONLY public.completions USING btree (organization_id, created_at) WHERE (violates IS NOT NULL);
CREATE UNIQUE INDEX datasets_by_name ON public.datasets USING btree (organization_id, name, version);
CREATE INDEX eval_answers_by_request ON public.eval_answers USING btree (organization_id, request_hash) WHERE (status = 'answered'::text);
CREATE INDEX eval_runs_by_time ON public.eval_runs USING btree (organization_id, created_at);
CREATE UNIQUE INDEX feedback_by_idempotency_key ON public.feedback USING btree (organization_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE INDEX feedback_by_task ON public.feedback USING btree (organization_id, task_id, created_at);
CREATE INDEX feedback_by_time ON public.feedback USING btree (organization_id, created_at);
CREATE INDEX feedback_by_version ON public.feedback USING btree (organization_id, task_id, task_version);
CREATE INDEX feedback_completions_by_completion ON public.feedback_completions USING btree (organization_id, completion_id);
CREATE INDEX feedback_completions_by_feedback ON public.feedback_completions USING btree (organization_id, feedback_id);
CREATE INDEX feedback_queue_by_logprob ON public.feedback_queue USING btree (organization_id, task_id, mean_logprob) WHERE (open = true);
CREATE INDEX feedback_queue_by_place ON public.feedback_queue USING btree (organization_id, task_id, place) WHERE (open = true);
CREATE INDEX feedback_queue_by_time ON public.feedback_queue USING btree (organization_id, task_id, created_at) WHERE (open = true);
CREATE INDEX feedback_queue_by_turn ON public.feedback_queue USING btree (organization_id, task_id, turn) WHERE (open = true);
CREATE INDEX feedback_tasks_by_time ON public.feedback_tasks USING btree (organization_id, created_at);
CREATE INDEX feedback_together_by_differing ON public.feedback_together USING btree (organization_id, task_id, version, differing, completion_id) WHERE (differing > 0);
CREATE INDEX feedback_together_running ON public.feedback_together USING btree (organization_id, task_id, completion_id) WHERE (running = true);
CREATE INDEX judgements_by_completion ON public.judgements USING btree (organization_id, completion_id);
CREATE INDEX judgements_by_question ON public.judgements USING btree (organization_id, judge_id, asked);
CREATE INDEX node_messages_by_time ON public.node_messages USING btree (sent_at);
CREATE UNIQUE INDEX prompts_by_name ON public.prompts USING btree (organization_id, name);
CREATE INDEX rest_completions_by_first_try ON public.completions_rest USING btree (organization_id, retry_of, retry_count) WHERE (retry_of IS NOT NULL);
CREATE INDEX rest_completions_by_response_id ON public.completions_rest USING btree (organization_id, public.briggs_index_key(response_id), created_at) WHERE ((encoding = 1) AND (response_id IS NOT NULL));
CREATE INDEX rest_completions_by_session ON public.completions_rest USING btree (organization_id, public.briggs_index_key(session_id), created_at) WHERE (session_id IS NOT NULL);
CREATE INDEX rest_completions_by_time ON public.completions_rest USING btree (organization_id, created_at, id) INCLUDE (status, total_tokens, cost_usd, duration_ms, p_mean, p_least, stream, http_status, retry_count, first_token_ms, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens);
CREATE INDEX rest_completions_left_by_caller ON public.completions_rest USING btree (organization_id, created_at) WHERE (caller_left_ms IS NOT NULL);
CREATE INDEX rest_completions_mended ON public.completions_rest USING btree (organization_id, created_at) WHERE (fixes IS NOT NULL);
CREATE INDEX rest_completions_started ON public.completions_rest USING btree (organization_id, status, created_at) WHERE (status = 'started'::text);
CREATE INDEX rest_completions_to_compress ON public.completions_rest USING btree (organization_id, encoding, created_at) WHERE ((encoding = 0) AND (status <> 'started'::text));
CREATE INDEX rest_completions_tried_again ON public.completions_rest USING btree (organization_id, created_at) WHERE (public.briggs_json_length(attempts) > 1);
CREATE INDEX rest_completions_with_broken_rules ON public.completions_rest USING btree (organization_id, created_at) WHERE (violates IS NOT NULL);
CREATE INDEX sessions_by_time ON public.sessions USING btree (organization_id, created_at);
CREATE INDEX sign_ins_by_end ON public.sign_ins USING btree (organization_id, expires_at);
CREATE INDEX sign_ins_by_key ON public.sign_ins USING btree (organization_id, key_id, kind, created_at);
CREATE INDEX signed_calls_by_completion ON public.signed_calls USING btree (organization_id, completion_id);
CREATE INDEX test_runs_by_time ON public.test_runs USING btree (organization_id, created_at);
CREATE INDEX views_by_organization ON public.views USING btree (organization_id);
ALTER INDEX public.completions_by_first_try ATTACH PARTITION public.rest_completions_by_first_try;
ALTER INDEX public.completions_by_response_id ATTACH PARTITION public.rest_completions_by_response_id;
ALTER INDEX public.completions_by_session ATTACH PARTITION public.rest_completions_by_session;
ALTER INDEX public.completions_by_time ATTACH PARTITION public.rest_completions_by_time;
ALTER INDEX public.completions_left_by_caller ATTACH PARTITION public.rest_completions_left_by_caller;
ALTER INDEX public.completions_mended ATTACH PARTITION public.rest_completions_mended;
ALTER INDEX public.completions_pkey ATTACH PARTITION public.rest_completions_pkey;
ALTER INDEX public.completions_started ATTACH PARTITION public.rest_completions_started;
ALTER INDEX public.completions_to_compress ATTACH PARTITION public.rest_completions_to_compress;
ALTER INDEX public.completions_tried_again ATTACH PARTITION public.rest_completions_tried_again;
ALTER INDEX public.completions_with_broken_rules ATTACH PARTITION public.rest_completions_with_broken_rules;
