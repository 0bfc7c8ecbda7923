BEGIN TRANSACTION;
CREATE TABLE alert_states (
	organization_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	is_firing BOOLEAN NOT NULL, 
	since_at BIGINT NOT NULL, 
	value FLOAT NOT NULL, 
	PRIMARY KEY (organization_id, name)
)
 WITHOUT ROWID

;
CREATE TABLE allowances (
	organization_id TEXT NOT NULL, 
	holder TEXT NOT NULL, 
	holder_id TEXT NOT NULL, 
	node_id TEXT NOT NULL, 
	requests BIGINT NOT NULL, 
	tokens BIGINT NOT NULL, 
	calls BIGINT NOT NULL, 
	nanodollars BIGINT NOT NULL, 
	PRIMARY KEY (organization_id, holder, holder_id, node_id)
)
 WITHOUT ROWID

;
CREATE TABLE backfills (
	name TEXT NOT NULL, 
	after_organization_id TEXT DEFAULT '' NOT NULL, 
	after_id TEXT NOT NULL, 
	PRIMARY KEY (name)
)
 WITHOUT ROWID

;
INSERT INTO "backfills" VALUES('derived','','');
CREATE TABLE changes (
	name TEXT NOT NULL, 
	version BIGINT NOT NULL, 
	PRIMARY KEY (name)
)
 WITHOUT ROWID

;
INSERT INTO "changes" VALUES('record',0);
CREATE TABLE completion_metadata (
	organization_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	completion_id TEXT NOT NULL, 
	PRIMARY KEY (organization_id, "key", value, created_at, completion_id)
)
 WITHOUT ROWID

;
INSERT INTO "completion_metadata" VALUES('default','k','v',1790000000000000,'0199d5a0-0000-7000-8000-000000000001');
CREATE TABLE completion_rules (
	organization_id TEXT NOT NULL, 
	rule TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	completion_id TEXT NOT NULL, 
	PRIMARY KEY (organization_id, rule, created_at, completion_id)
)
 WITHOUT ROWID

;
CREATE TABLE completion_tags (
	organization_id TEXT NOT NULL, 
	tag TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	completion_id TEXT NOT NULL, 
	PRIMARY KEY (organization_id, tag, created_at, completion_id)
)
 WITHOUT ROWID

;
INSERT INTO "completion_tags" VALUES('default','a',1790000000000000,'0199d5a0-0000-7000-8000-000000000001');
INSERT INTO "completion_tags" VALUES('default','b',1790000000000000,'0199d5a0-0000-7000-8000-000000000001');
CREATE TABLE completions (
	id TEXT NOT NULL, 
	organization_id TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	status TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	source TEXT DEFAULT 'gateway' NOT NULL, 
	stream BOOLEAN NOT NULL, 
	provider TEXT, 
	model TEXT NOT NULL, 
	response_model TEXT, 
	response_id TEXT, 
	system_fingerprint TEXT, 
	seed BIGINT, 
	user TEXT, 
	session_id TEXT, 
	tags TEXT, 
	metadata TEXT, 
	finish_reasons TEXT, 
	violates TEXT, 
	fixes TEXT, 
	dropped TEXT, 
	prompt_tokens BIGINT, 
	completion_tokens BIGINT, 
	total_tokens BIGINT, 
	cached_tokens BIGINT, 
	cache_write_tokens BIGINT, 
	reasoning_tokens BIGINT, 
	usage_source TEXT, 
	cost_usd FLOAT, 
	price_source TEXT, 
	duration_ms FLOAT, 
	first_token_ms FLOAT, 
	caller_left_ms FLOAT, 
	p_mean FLOAT, 
	p_least FLOAT, 
	key_id TEXT, 
	preview TEXT, 
	attempts TEXT, 
	retry_count INTEGER NOT NULL, 
	retry_of TEXT, 
	http_status INTEGER, 
	failure_kind TEXT, 
	failure_reason TEXT, 
	call_site TEXT, 
	start_reported BOOLEAN DEFAULT 0 NOT NULL, 
	bodies_deleted_at BIGINT, 
	redacted TEXT, 
	owner TEXT, 
	encoding SMALLINT DEFAULT 0 NOT NULL, 
	request BLOB NOT NULL, 
	response BLOB, 
	received BLOB, 
	PRIMARY KEY (organization_id, id)
);
INSERT INTO "completions" VALUES('0199d5a0-0000-7000-8000-000000000001','default',1790000000000000,'finished','chat','gateway',0,NULL,'openai/gpt-4o',NULL,'chatcmpl-1',NULL,NULL,NULL,NULL,'["a","b"]','{"k":"v"}','["stop"]',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,0,X'7B226D6F64656C223A226F70656E61692F6770742D346F222C226D65737361676573223A5B5D7D',X'7B226964223A2263686174636D706C2D31227D00FF',NULL);
INSERT INTO "completions" VALUES('0199d5a0-0000-7000-8000-000000000002','default',1790000000000001,'started','chat','gateway',1,NULL,'openai/gpt-4o',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,0,X'7B7D',NULL,NULL);
CREATE TABLE copied_from (
	id TEXT NOT NULL, 
	source TEXT NOT NULL, 
	run TEXT NOT NULL, 
	is_complete BOOLEAN NOT NULL, 
	begun_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
)
 WITHOUT ROWID

;
CREATE TABLE dataset_samples (
	organization_id TEXT NOT NULL, 
	dataset_id TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	sample BLOB NOT NULL, 
	PRIMARY KEY (organization_id, dataset_id, number)
)
 WITHOUT ROWID

;
CREATE TABLE datasets (
	organization_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	created_at BIGINT NOT NULL, 
	source TEXT NOT NULL, 
	samples INTEGER NOT NULL, 
	bytes BIGINT NOT NULL, 
	hash TEXT NOT NULL, 
	PRIMARY KEY (organization_id, id)
)
 WITHOUT ROWID

;
CREATE TABLE deleted_completions (
	organization_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (organization_id, id)
)
 WITHOUT ROWID

;
CREATE TABLE deliveries (
	organization_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	webhook TEXT, 
	email TEXT, 
	body TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	attempts INTEGER NOT NULL, 
	next_at BIGINT NOT NULL, 
	failure TEXT, 
	PRIMARY KEY (organization_id, id)
)
 WITHOUT ROWID

;
CREATE TABLE drift_changes (
	organization_id TEXT NOT NULL, 
	watch_id TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	from_at BIGINT NOT NULL, 
	until_at BIGINT NOT NULL, 
	p FLOAT NOT NULL, 
	mean_square FLOAT NOT NULL, 
	largest FLOAT NOT NULL, 
	moved TEXT NOT NULL, 
	probes INTEGER NOT NULL, 
	evidence TEXT NOT NULL, 
	fingerprints_before TEXT NOT NULL, 
	fingerprints_now TEXT NOT NULL, 
	duration_ms_before FLOAT, 
	duration_ms_now FLOAT, 
	seeded_repeats_before FLOAT, 
	seeded_repeats_now FLOAT, 
	seeded_repeats_across FLOAT, 
	PRIMARY KEY (organization_id, watch_id, at)
)
 WITHOUT ROWID

;
CREATE TABLE drift_rounds (
	organization_id TEXT NOT NULL, 
	watch_id TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	logprobs TEXT NOT NULL, 
	texts TEXT NOT NULL, 
	fingerprints TEXT NOT NULL, 
	completion_ids TEXT NOT NULL, 
	duration_ms FLOAT, 
	completion_tokens FLOAT, 
	failures INTEGER NOT NULL, 
	p FLOAT, 
	seeded_repeats FLOAT, 
	PRIMARY KEY (organization_id, watch_id, at)
)
 WITHOUT ROWID

;
CREATE TABLE drift_watches (
	organization_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	target TEXT NOT NULL, 
	source TEXT DEFAULT 'probes' NOT NULL, 
	created_at BIGINT NOT NULL, 
	every_s FLOAT NOT NULL, 
	window_rounds INTEGER NOT NULL, 
	is_from_file BOOLEAN NOT NULL, 
	is_paused BOOLEAN NOT NULL, 
	evidence TEXT, 
	tokens TEXT NOT NULL, 
	asked_at BIGINT NOT NULL, 
	failure TEXT, 
	PRIMARY KEY (organization_id, id)
)
 WITHOUT ROWID

;
CREATE TABLE eval_answers (
	organization_id TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	sample INTEGER NOT NULL, 
	target TEXT NOT NULL, 
	repeat INTEGER NOT NULL, 
	status TEXT NOT NULL, 
	completion_id TEXT, 
	request_hash TEXT NOT NULL, 
	is_cached BOOLEAN NOT NULL, 
	failure_kind TEXT, 
	failure_reason TEXT, 
	is_cut BOOLEAN NOT NULL, 
	prompt_tokens BIGINT, 
	completion_tokens BIGINT, 
	cost_usd FLOAT, 
	duration_ms FLOAT, 
	scores TEXT, 
	PRIMARY KEY (organization_id, run_id, sample, target, repeat)
)
 WITHOUT ROWID

;
CREATE TABLE eval_runs (
	organization_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	finished_at BIGINT, 
	status TEXT NOT NULL, 
	failure TEXT NOT NULL, 
	dataset_id TEXT NOT NULL, 
	dataset TEXT NOT NULL, 
	samples INTEGER NOT NULL, 
	targets TEXT NOT NULL, 
	scorers TEXT NOT NULL, 
	repeats INTEGER NOT NULL, 
	parameters TEXT NOT NULL, 
	concurrency INTEGER NOT NULL, 
	fresh BOOLEAN NOT NULL, 
	key_id TEXT, 
	plan_hash TEXT NOT NULL, 
	PRIMARY KEY (organization_id, id)
)
 WITHOUT ROWID

;
CREATE TABLE feedback (
	organization_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	task_id TEXT NOT NULL, 
	task_version INTEGER NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	version INTEGER NOT NULL, 
	reviewer TEXT NOT NULL, 
	reviewer_kind TEXT NOT NULL, 
	json_values TEXT NOT NULL, 
	comment TEXT NOT NULL, 
	rationale TEXT NOT NULL, 
	corrected_output TEXT NOT NULL, 
	idempotency_key TEXT, 
	idempotency_hash BLOB, 
	suggestion TEXT, 
	selection_chance FLOAT, 
	PRIMARY KEY (organization_id, id)
);
CREATE TABLE feedback_completions (
	organization_id TEXT NOT NULL, 
	task_id TEXT NOT NULL, 
	completion_id TEXT NOT NULL, 
	reviewer TEXT NOT NULL, 
	feedback_id TEXT NOT NULL, 
	PRIMARY KEY (organization_id, task_id, completion_id, reviewer, feedback_id)
)
 WITHOUT ROWID

;
CREATE TABLE feedback_counts (
	organization_id TEXT NOT NULL, 
	task_id TEXT NOT NULL, 
	matching BIGINT NOT NULL, 
	"left" BIGINT NOT NULL, 
	PRIMARY KEY (organization_id, task_id)
)
 WITHOUT ROWID

;
CREATE TABLE feedback_leases (
	organization_id TEXT NOT NULL, 
	task_id TEXT NOT NULL, 
	completion_id TEXT NOT NULL, 
	reviewer TEXT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	chance FLOAT, 
	PRIMARY KEY (organization_id, task_id, completion_id, reviewer)
)
 WITHOUT ROWID

;
CREATE TABLE feedback_marks (
	organization_id TEXT NOT NULL, 
	task_id TEXT NOT NULL, 
	mark TEXT NOT NULL, 
	counted_to TEXT DEFAULT '', 
	PRIMARY KEY (organization_id, task_id)
)
 WITHOUT ROWID

;
CREATE TABLE feedback_queue (
	organization_id TEXT NOT NULL, 
	task_id TEXT NOT NULL, 
	completion_id TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	model TEXT NOT NULL, 
	response_model TEXT, 
	mean_logprob FLOAT, 
	place BIGINT NOT NULL, 
	chance FLOAT, 
	turn FLOAT, 
	reviews INTEGER NOT NULL, 
	open BOOLEAN NOT NULL, 
	PRIMARY KEY (organization_id, task_id, completion_id)
)
 WITHOUT ROWID

;
CREATE TABLE feedback_skips (
	organization_id TEXT NOT NULL, 
	task_id TEXT NOT NULL, 
	completion_id TEXT NOT NULL, 
	reviewer TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	reason TEXT NOT NULL, 
	PRIMARY KEY (organization_id, task_id, completion_id, reviewer)
)
 WITHOUT ROWID

;
CREATE TABLE feedback_sums (
	organization_id TEXT NOT NULL, 
	task_id TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	hash BLOB NOT NULL, 
	name TEXT NOT NULL, 
	total BIGINT NOT NULL, 
	PRIMARY KEY (organization_id, task_id, version, hash)
)
 WITHOUT ROWID

;
CREATE TABLE feedback_task_versions (
	organization_id TEXT NOT NULL, 
	task_id TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	created_at BIGINT NOT NULL, 
	instruction TEXT NOT NULL, 
	json_schema TEXT NOT NULL, 
	PRIMARY KEY (organization_id, task_id, version)
)
 WITHOUT ROWID

;
CREATE TABLE feedback_tasks (
	organization_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	archived_at BIGINT, 
	version INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	instruction TEXT NOT NULL, 
	json_schema TEXT NOT NULL, 
	completion_tags_selector TEXT NOT NULL, 
	counts_from INTEGER DEFAULT 1 NOT NULL, 
	reviewers_wanted INTEGER NOT NULL, 
	blind BOOLEAN NOT NULL, 
	fill_created_at BIGINT, 
	fill_id TEXT, 
	hide_model BOOLEAN DEFAULT 0 NOT NULL, 
	kind TEXT DEFAULT 'grade' NOT NULL, 
	suggesting_judge TEXT DEFAULT '' NOT NULL, 
	suggesting_version INTEGER DEFAULT 0 NOT NULL, 
	"order" TEXT DEFAULT 'oldest' NOT NULL, 
	PRIMARY KEY (organization_id, id)
)
 WITHOUT ROWID

;
CREATE TABLE feedback_together (
	organization_id TEXT NOT NULL, 
	task_id TEXT NOT NULL, 
	completion_id TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	differing INTEGER NOT NULL, 
	running BOOLEAN NOT NULL, 
	counts BLOB NOT NULL, 
	PRIMARY KEY (organization_id, task_id, completion_id, version)
)
 WITHOUT ROWID

;
CREATE TABLE feedback_versions (
	organization_id TEXT NOT NULL, 
	feedback_id TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	created_at BIGINT NOT NULL, 
	json_values TEXT NOT NULL, 
	comment TEXT NOT NULL, 
	rationale TEXT NOT NULL, 
	corrected_output TEXT NOT NULL, 
	PRIMARY KEY (organization_id, feedback_id, version)
)
 WITHOUT ROWID

;
CREATE TABLE hours (
	organization_id TEXT NOT NULL, 
	hour BIGINT NOT NULL, 
	token TEXT NOT NULL, 
	zone BLOB, 
	PRIMARY KEY (organization_id, hour)
);
CREATE TABLE judge_runs (
	organization_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	judge_id TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	status TEXT NOT NULL, 
	filter TEXT NOT NULL, 
	"limit" INTEGER, 
	budget_usd FLOAT, 
	matching INTEGER NOT NULL, 
	is_counted BOOLEAN NOT NULL, 
	judged INTEGER NOT NULL, 
	copied INTEGER NOT NULL, 
	failed INTEGER NOT NULL, 
	failures TEXT NOT NULL, 
	cost_usd FLOAT NOT NULL, 
	unpriced INTEGER NOT NULL, 
	message TEXT NOT NULL, 
	PRIMARY KEY (organization_id, id)
)
 WITHOUT ROWID

;
CREATE TABLE judge_versions (
	organization_id TEXT NOT NULL, 
	judge_id TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	created_at BIGINT NOT NULL, 
	model TEXT NOT NULL, 
	task_version INTEGER NOT NULL, 
	json_schema TEXT NOT NULL, 
	prompt TEXT NOT NULL, 
	mark TEXT NOT NULL, 
	examples TEXT NOT NULL, 
	examples_shown INTEGER NOT NULL, 
	samples INTEGER NOT NULL, 
	max_tokens INTEGER NOT NULL, 
	options TEXT NOT NULL, 
	PRIMARY KEY (organization_id, judge_id, version)
)
 WITHOUT ROWID

;
CREATE TABLE judgements (
	organization_id TEXT NOT NULL, 
	judge_id TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	completion_id TEXT NOT NULL, 
	status TEXT NOT NULL, 
	asked BLOB NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	attempts INTEGER NOT NULL, 
	call_ids TEXT NOT NULL, 
	cost_usd FLOAT, 
	system_fingerprint TEXT, 
	scores TEXT NOT NULL, 
	probabilities TEXT NOT NULL, 
	mass FLOAT, 
	example_ids TEXT NOT NULL, 
	failure TEXT, 
	failure_reason TEXT, 
	is_copy BOOLEAN NOT NULL, 
	feedback_id TEXT, 
	PRIMARY KEY (organization_id, judge_id, version, completion_id)
)
 WITHOUT ROWID

;
CREATE TABLE judges (
	organization_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	task_id TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	archived_at BIGINT, 
	watch TEXT NOT NULL, 
	PRIMARY KEY (organization_id, id)
)
 WITHOUT ROWID

;
CREATE TABLE keys (
	id TEXT NOT NULL, 
	organization_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	hash BLOB NOT NULL, 
	redacted_value TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	last_used_at BIGINT, 
	scopes TEXT DEFAULT 'answer,read,grade,admin' NOT NULL, 
	expires_at BIGINT, 
	task_id TEXT, 
	limits TEXT, 
	PRIMARY KEY (id), 
	UNIQUE (hash)
);
CREATE TABLE lake_deletions (
	organization_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	demanded_at BIGINT NOT NULL, 
	"query" TEXT NOT NULL, 
	PRIMARY KEY (organization_id, id)
)
 WITHOUT ROWID

;
CREATE TABLE leases (
	name TEXT NOT NULL, 
	node_id TEXT NOT NULL, 
	until BIGINT NOT NULL, 
	term BIGINT DEFAULT 0 NOT NULL, 
	PRIMARY KEY (name)
)
 WITHOUT ROWID

;
CREATE TABLE migrations (
	number INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	applied_at BIGINT NOT NULL, 
	PRIMARY KEY (number)
);
INSERT INTO "migrations" VALUES(1,'record_completions',1790000000000000);
INSERT INTO "migrations" VALUES(2,'find_completions_by_tag_and_metadata',1790000000000000);
INSERT INTO "migrations" VALUES(3,'remember_where_deleted_completions_stood',1790000000000000);
INSERT INTO "migrations" VALUES(4,'compress_bodies_later',1790000000000000);
INSERT INTO "migrations" VALUES(5,'recognise_keys',1790000000000000);
INSERT INTO "migrations" VALUES(6,'probe_a_store_that_failed',1790000000000000);
INSERT INTO "migrations" VALUES(7,'record_attempts_violations_and_prices',1790000000000000);
INSERT INTO "migrations" VALUES(8,'find_completions_by_rule',1790000000000000);
INSERT INTO "migrations" VALUES(9,'tell_organizations_apart',1790000000000000);
INSERT INTO "migrations" VALUES(10,'grade_completions',1790000000000000);
INSERT INTO "migrations" VALUES(11,'keep_test_runs',1790000000000000);
INSERT INTO "migrations" VALUES(12,'note_callers_who_left',1790000000000000);
INSERT INTO "migrations" VALUES(13,'find_signed_calls',1790000000000000);
INSERT INTO "migrations" VALUES(14,'hide_models_from_reviewers',1795940195464880);
INSERT INTO "migrations" VALUES(15,'name_owners_and_reported_starts',1795945176495353);
INSERT INTO "migrations" VALUES(16,'bind_keys_to_tasks',1795948196630532);
INSERT INTO "migrations" VALUES(17,'show_completions_without_their_bodies',1795948754245406);
INSERT INTO "migrations" VALUES(18,'roll_up_completions',1795949152126972);
INSERT INTO "migrations" VALUES(19,'tell_kinds_of_tasks_apart',1795949584487542);
INSERT INTO "migrations" VALUES(20,'ask_reviewers_again',1795952518359255);
INSERT INTO "migrations" VALUES(21,'name_lists_of_completions',1795953672706972);
INSERT INTO "migrations" VALUES(22,'filter_and_sort_completions_by_an_index',1790000000000000);
INSERT INTO "migrations" VALUES(23,'end_sessions_on_the_server',1790000000000000);
INSERT INTO "migrations" VALUES(24,'find_the_retries_of_a_call',1795961813920867);
INSERT INTO "migrations" VALUES(25,'sum_what_was_spent',1795963596364497);
INSERT INTO "migrations" VALUES(26,'keep_bodies_for_a_time',1795964258115080);
INSERT INTO "migrations" VALUES(27,'tell_of_alerts',1795965717841017);
INSERT INTO "migrations" VALUES(28,'keep_datasets',1795975809204111);
INSERT INTO "migrations" VALUES(29,'learn_from_grades',1795977000031083);
INSERT INTO "migrations" VALUES(30,'count_queues',1795977575703295);
INSERT INTO "migrations" VALUES(31,'run_evals',1795977870575548);
INSERT INTO "migrations" VALUES(32,'find_words_by_an_index',1795978247626606);
INSERT INTO "migrations" VALUES(33,'lead_every_key_with_the_organization',1795978577022318);
INSERT INTO "migrations" VALUES(34,'watch_drift',1795979166379780);
INSERT INTO "migrations" VALUES(35,'filter_completions_by_anything_in_an_index',1795979988575507);
INSERT INTO "migrations" VALUES(36,'store_histories_once',1795980857555548);
INSERT INTO "migrations" VALUES(37,'copy_records',1795987881633685);
INSERT INTO "migrations" VALUES(38,'name_prompts',1795989346799153);
INSERT INTO "migrations" VALUES(39,'share_a_database_between_nodes',1795989939839295);
INSERT INTO "migrations" VALUES(40,'suggest_to_reviewers',1795990542524786);
INSERT INTO "migrations" VALUES(41,'find_long_texts_by_what_fits_into_an_index',1796030000000041);
INSERT INTO "migrations" VALUES(42,'tell_the_lake_what_to_delete',1795990991089492);
INSERT INTO "migrations" VALUES(43,'keep_completions_in_partitions',1796030000000043);
INSERT INTO "migrations" VALUES(44,'ask_first_what_tells_most',1795992329409889);
INSERT INTO "migrations" VALUES(45,'watch_drift_of_traffic',1795992595015386);
INSERT INTO "migrations" VALUES(46,'count_the_terms_of_keepers',1795999942521474);
INSERT INTO "migrations" VALUES(47,'drop_minutes_that_may_lack_some',1796001282192564);
INSERT INTO "migrations" VALUES(48,'tell_when_nodes_were_seen',1796002119408014);
INSERT INTO "migrations" VALUES(49,'keep_what_hours_have',1796010000000049);
INSERT INTO "migrations" VALUES(50,'mark_changes_of_feedback',1796010000000050);
INSERT INTO "migrations" VALUES(51,'sign_in_on_every_server',1796010000000051);
INSERT INTO "migrations" VALUES(52,'count_seeded_repeats',1796010000000052);
INSERT INTO "migrations" VALUES(53,'sum_up_what_reviewers_say',1796010000000053);
INSERT INTO "migrations" VALUES(54,'sum_up_the_words_of_many_segments',1796010000000054);
CREATE TABLE node_messages (
	id TEXT NOT NULL, 
	sender_id TEXT NOT NULL, 
	sent_at BIGINT NOT NULL, 
	content BLOB NOT NULL, 
	PRIMARY KEY (id)
)
 WITHOUT ROWID

;
CREATE TABLE nodes (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	folder_id TEXT NOT NULL, 
	process TEXT NOT NULL, 
	started_at BIGINT NOT NULL, 
	alive_until BIGINT NOT NULL, 
	seen_at BIGINT DEFAULT 0 NOT NULL, 
	version TEXT DEFAULT '' NOT NULL, 
	has_left BOOLEAN DEFAULT false NOT NULL, 
	PRIMARY KEY (id)
)
 WITHOUT ROWID

;
CREATE TABLE organizations (
	id TEXT NOT NULL, 
	slug TEXT NOT NULL, 
	name TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (slug)
);
INSERT INTO "organizations" VALUES('default','default','Default',1795454951849433);
CREATE TABLE pieces (
	organization_id TEXT NOT NULL, 
	hash BLOB NOT NULL, 
	uses INTEGER NOT NULL, 
	content BLOB NOT NULL, 
	PRIMARY KEY (organization_id, hash)
);
CREATE TABLE probes (
	id TEXT NOT NULL, 
	content BLOB NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE prompt_completions (
	organization_id TEXT NOT NULL, 
	prompt_id TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	completion_id TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	PRIMARY KEY (organization_id, prompt_id, created_at, completion_id)
)
 WITHOUT ROWID

;
CREATE TABLE prompt_versions (
	organization_id TEXT NOT NULL, 
	prompt_id TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	created_at BIGINT NOT NULL, 
	template TEXT NOT NULL, 
	decided_by TEXT NOT NULL, 
	of_version INTEGER, 
	distance FLOAT, 
	PRIMARY KEY (organization_id, prompt_id, version)
)
 WITHOUT ROWID

;
CREATE TABLE prompts (
	organization_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	last_version INTEGER DEFAULT 0 NOT NULL, 
	sorted_to BIGINT NOT NULL, 
	PRIMARY KEY (organization_id, id)
)
 WITHOUT ROWID

;
CREATE TABLE rollup_changes (
	organization_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	begin_at BIGINT NOT NULL, 
	model TEXT NOT NULL, 
	provider TEXT NOT NULL, 
	tally TEXT NOT NULL, 
	spent TEXT, 
	PRIMARY KEY (organization_id, id)
)
 WITHOUT ROWID

;
CREATE TABLE rollup_fills (
	organization_id TEXT NOT NULL, 
	until_at BIGINT NOT NULL, 
	begun_at BIGINT NOT NULL, 
	oldest_at BIGINT NOT NULL, 
	PRIMARY KEY (organization_id)
)
 WITHOUT ROWID

;
INSERT INTO "rollup_fills" VALUES('default',1790000000000002,1790000000000002,1790000000000000);
CREATE TABLE rollups (
	organization_id TEXT NOT NULL, 
	span TEXT NOT NULL, 
	begin_at BIGINT NOT NULL, 
	model TEXT NOT NULL, 
	provider TEXT NOT NULL, 
	tally TEXT NOT NULL, 
	PRIMARY KEY (organization_id, span, begin_at, model, provider)
);
CREATE TABLE search_segments (
	organization_id TEXT NOT NULL, 
	begin_at BIGINT NOT NULL, 
	end_at BIGINT NOT NULL, 
	rows INTEGER NOT NULL, 
	blocks BLOB NOT NULL, 
	opaque BLOB NOT NULL, 
	words BLOB NOT NULL, 
	postings BLOB NOT NULL, 
	PRIMARY KEY (organization_id, begin_at)
);
CREATE TABLE search_summaries (
	organization_id TEXT NOT NULL, 
	begin_at BIGINT NOT NULL, 
	end_at BIGINT NOT NULL, 
	rows INTEGER NOT NULL, 
	blocks BLOB NOT NULL, 
	opaque BLOB NOT NULL, 
	words BLOB NOT NULL, 
	postings BLOB NOT NULL, 
	PRIMARY KEY (organization_id, begin_at)
);
CREATE TABLE sessions (
	organization_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (organization_id, id)
)
 WITHOUT ROWID

;
CREATE TABLE sign_ins (
	organization_id TEXT NOT NULL, 
	hash BLOB NOT NULL, 
	kind TEXT NOT NULL, 
	key_id TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	PRIMARY KEY (organization_id, hash)
)
 WITHOUT ROWID

;
CREATE TABLE signed_calls (
	organization_id TEXT NOT NULL, 
	call_id TEXT NOT NULL, 
	completion_id TEXT NOT NULL, 
	PRIMARY KEY (organization_id, call_id, completion_id)
)
 WITHOUT ROWID

;
CREATE TABLE spending (
	organization_id TEXT NOT NULL, 
	day BIGINT NOT NULL, 
	holder TEXT NOT NULL, 
	holder_id TEXT NOT NULL, 
	cost_nanodollars BIGINT NOT NULL, 
	PRIMARY KEY (organization_id, day, holder, holder_id)
)
 WITHOUT ROWID

;
CREATE TABLE test_runs (
	organization_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	upload_hash TEXT NOT NULL, 
	upload_expires_at BIGINT NOT NULL, 
	reported_at BIGINT, 
	report BLOB, 
	PRIMARY KEY (organization_id, id)
);
CREATE TABLE views (
	organization_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	name TEXT NOT NULL, 
	state TEXT NOT NULL, 
	PRIMARY KEY (organization_id, id)
);
CREATE INDEX sessions_by_time ON sessions (organization_id, created_at);
CREATE UNIQUE INDEX datasets_by_name ON datasets (organization_id, name, version);
CREATE INDEX judgements_by_question ON judgements (organization_id, judge_id, asked);
CREATE INDEX judgements_by_completion ON judgements (organization_id, completion_id);
CREATE INDEX eval_runs_by_time ON eval_runs (organization_id, created_at);
CREATE INDEX eval_answers_by_request ON eval_answers (organization_id, request_hash) WHERE status = 'answered';
CREATE INDEX completions_by_first_try ON completions (organization_id, retry_of, retry_count) WHERE retry_of IS NOT NULL;
CREATE INDEX completions_by_session ON completions (organization_id, session_id, created_at) WHERE session_id IS NOT NULL;
CREATE INDEX completions_by_response_id ON completions (organization_id, response_id, created_at) WHERE encoding = 1 AND response_id IS NOT NULL;
CREATE INDEX completions_started ON completions (organization_id, status, created_at) WHERE status = 'started';
CREATE INDEX completions_to_compress ON completions (organization_id, encoding, created_at) WHERE encoding = 0 AND status != 'started';
CREATE INDEX signed_calls_by_completion ON signed_calls (organization_id, completion_id);
CREATE INDEX test_runs_by_time ON test_runs (organization_id, created_at);
CREATE INDEX views_by_organization ON views (organization_id);
CREATE INDEX feedback_completions_by_feedback ON feedback_completions (organization_id, feedback_id);
CREATE INDEX feedback_completions_by_completion ON feedback_completions (organization_id, completion_id);
CREATE INDEX completions_tried_again ON completions (organization_id, created_at) WHERE json_array_length(attempts) > 1;
CREATE INDEX completions_mended ON completions (organization_id, created_at) WHERE fixes IS NOT NULL;
CREATE INDEX completions_left_by_caller ON completions (organization_id, created_at) WHERE caller_left_ms IS NOT NULL;
CREATE INDEX completions_by_time ON completions (organization_id, created_at, status, provider, model, response_model, user, finish_reasons, failure_kind, total_tokens, cost_usd, duration_ms, p_mean, p_least, kind, source, stream, key_id, http_status, retry_count, first_token_ms, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, id);
CREATE INDEX completions_with_broken_rules ON completions (organization_id, created_at) WHERE violates IS NOT NULL;
CREATE UNIQUE INDEX prompts_by_name ON prompts (organization_id, name);
CREATE INDEX node_messages_by_time ON node_messages (sent_at);
CREATE INDEX feedback_queue_by_place ON feedback_queue (organization_id, task_id, place) WHERE open = 1;
CREATE INDEX feedback_queue_by_time ON feedback_queue (organization_id, task_id, created_at) WHERE open = 1;
CREATE INDEX feedback_queue_by_turn ON feedback_queue (organization_id, task_id, turn) WHERE open = 1;
CREATE INDEX feedback_queue_by_logprob ON feedback_queue (organization_id, task_id, mean_logprob) WHERE open = 1;
CREATE INDEX feedback_tasks_by_time ON feedback_tasks (organization_id, created_at);
CREATE INDEX feedback_by_time ON feedback (organization_id, created_at);
CREATE UNIQUE INDEX feedback_by_idempotency_key ON feedback (organization_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX feedback_by_task ON feedback (organization_id, task_id, created_at);
CREATE INDEX sign_ins_by_end ON sign_ins (organization_id, expires_at);
CREATE INDEX sign_ins_by_key ON sign_ins (organization_id, key_id, kind, created_at);
CREATE INDEX feedback_by_version ON feedback (organization_id, task_id, task_version);
CREATE INDEX feedback_together_by_differing ON feedback_together (organization_id, task_id, version, differing, completion_id) WHERE differing > 0;
CREATE INDEX feedback_together_running ON feedback_together (organization_id, task_id, completion_id) WHERE running = 1;
COMMIT;
