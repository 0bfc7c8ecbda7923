BEGIN TRANSACTION;
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
	attempts TEXT, 
	retry_count INTEGER NOT NULL, 
	retry_of TEXT, 
	http_status INTEGER, 
	failure_kind TEXT, 
	failure_reason TEXT, 
	call_site TEXT, 
	encoding SMALLINT DEFAULT 0 NOT NULL, 
	request BLOB NOT NULL, 
	response BLOB, 
	received BLOB, 
	PRIMARY KEY (id)
);
INSERT INTO "completions" VALUES('0199d5a0-0000-7000-8000-000000000001','default',1790000000000000,'finished','chat','gateway',0,NULL,'openai/gpt-4o',NULL,'chatcmpl-1',NULL,NULL,NULL,NULL,'["a","b"]','{"k":"v"}','["stop"]',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,0,X'7B226D6F64656C223A226F70656E61692F6770742D346F222C226D65737361676573223A5B5D7D',X'7B226964223A2263686174636D706C2D31227D00FF',NULL);
INSERT INTO "completions" VALUES('0199d5a0-0000-7000-8000-000000000002','default',1790000000000001,'started','chat','gateway',1,NULL,'openai/gpt-4o',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,0,X'7B7D',NULL,NULL);
CREATE TABLE deleted_completions (
	id TEXT NOT NULL, 
	organization_id TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
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
	PRIMARY KEY (id), 
	UNIQUE (hash)
);
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
CREATE TABLE probes (
	id INTEGER NOT NULL, 
	content BLOB NOT NULL, 
	PRIMARY KEY (id)
);
CREATE INDEX completions_to_compress ON completions (organization_id, encoding, created_at) WHERE encoding = 0 AND status <> 'started';
CREATE INDEX completions_by_time ON completions (organization_id, created_at);
CREATE INDEX completions_started ON completions (organization_id, status, created_at) WHERE status = 'started';
CREATE INDEX completions_by_response_id ON completions (organization_id, response_id, created_at) WHERE encoding = 1 AND response_id IS NOT NULL;
CREATE INDEX completions_by_session ON completions (organization_id, session_id, created_at) WHERE session_id IS NOT NULL;
COMMIT;
