BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('m0001');
CREATE TABLE audit (
	id INTEGER NOT NULL,
	at BIGINT NOT NULL,
	run INTEGER,
	event VARCHAR NOT NULL,
	actor VARCHAR NOT NULL,
	detail JSON NOT NULL,
	hash VARCHAR NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE breaker (
	id INTEGER NOT NULL,
	stack VARCHAR NOT NULL,
	remediation VARCHAR NOT NULL,
	target VARCHAR NOT NULL,
	opened_at BIGINT NOT NULL,
	run INTEGER NOT NULL,
	reason VARCHAR NOT NULL,
	closed_at BIGINT,
	closed_by VARCHAR,
	PRIMARY KEY (id),
	FOREIGN KEY(run) REFERENCES run (id)
);
CREATE TABLE delivery (
	id INTEGER NOT NULL,
	received_at BIGINT NOT NULL,
	body BLOB NOT NULL,
	processed_at BIGINT,
	PRIMARY KEY (id)
);
CREATE TABLE episode (
	id INTEGER NOT NULL,
	stack VARCHAR NOT NULL,
	remediation VARCHAR NOT NULL,
	target VARCHAR NOT NULL,
	opened_at BIGINT NOT NULL,
	firing_since BIGINT NOT NULL,
	delivered_at BIGINT NOT NULL,
	confirmed_at BIGINT NOT NULL,
	ended_at BIGINT,
	end_reason VARCHAR,
	alerts JSON NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE item (
	id INTEGER NOT NULL,
	run INTEGER NOT NULL,
	position INTEGER NOT NULL,
	identity JSON NOT NULL,
	evidence JSON NOT NULL,
	state VARCHAR NOT NULL,
	detail TEXT NOT NULL,
	intended_at BIGINT,
	settled_at BIGINT,
	PRIMARY KEY (id),
	UNIQUE (run, position),
	FOREIGN KEY(run) REFERENCES run (id)
);
CREATE TABLE outbox (
	id INTEGER NOT NULL,
	episode INTEGER NOT NULL,
	"key" VARCHAR NOT NULL,
	contact VARCHAR NOT NULL,
	created_at BIGINT NOT NULL,
	title TEXT NOT NULL,
	body TEXT NOT NULL,
	attempts INTEGER NOT NULL,
	next_attempt_at BIGINT NOT NULL,
	sent_at BIGINT,
	PRIMARY KEY (id),
	UNIQUE ("key", contact),
	FOREIGN KEY(episode) REFERENCES episode (id)
);
CREATE TABLE pause (
	id INTEGER NOT NULL,
	stack VARCHAR,
	reason TEXT NOT NULL,
	begun_at BIGINT NOT NULL,
	begun_by VARCHAR NOT NULL,
	until BIGINT,
	ended_at BIGINT,
	ended_by VARCHAR,
	PRIMARY KEY (id)
);
CREATE TABLE resolution (
	alert VARCHAR NOT NULL,
	ended_at BIGINT NOT NULL,
	resolved_at BIGINT NOT NULL,
	PRIMARY KEY (alert)
);
CREATE TABLE run (
	id INTEGER NOT NULL,
	episode INTEGER NOT NULL,
	stack VARCHAR NOT NULL,
	remediation VARCHAR NOT NULL,
	target VARCHAR NOT NULL,
	state VARCHAR NOT NULL,
	reason VARCHAR NOT NULL,
	fence INTEGER NOT NULL,
	created_at BIGINT NOT NULL,
	finished_at BIGINT,
	admitted_at BIGINT,
	not_before BIGINT,
	deferred_at BIGINT,
	expires_at BIGINT,
	approved_by VARCHAR,
	found INTEGER,
	population INTEGER,
	plan_hash VARCHAR,
	evidence JSON NOT NULL,
	PRIMARY KEY (id),
	FOREIGN KEY(episode) REFERENCES episode (id)
);
CREATE TABLE storm (
	id INTEGER NOT NULL,
	seen_at BIGINT NOT NULL,
	detail TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE tally (
	id INTEGER NOT NULL,
	stack VARCHAR NOT NULL,
	remediation VARCHAR NOT NULL,
	target VARCHAR NOT NULL,
	state VARCHAR NOT NULL,
	reason VARCHAR NOT NULL,
	runs INTEGER NOT NULL,
	acted INTEGER NOT NULL,
	seconds FLOAT NOT NULL,
	last_at BIGINT NOT NULL,
	PRIMARY KEY (id),
	UNIQUE (stack, remediation, target, state, reason)
);
CREATE INDEX delivery_open ON delivery (id) WHERE processed_at IS NULL;
CREATE INDEX delivery_received ON delivery (received_at);
CREATE UNIQUE INDEX episode_one_open ON episode (stack, remediation, target) WHERE ended_at IS NULL;
CREATE INDEX episode_ended ON episode (ended_at);
CREATE UNIQUE INDEX run_one_active ON run (stack, remediation, target) WHERE state IN ('admitted', 'executing', 'verifying');
CREATE UNIQUE INDEX run_one_open ON run (episode) WHERE state IN ('planned', 'prechecked', 'deferred', 'awaiting_approval', 'admitted', 'executing', 'verifying');
CREATE INDEX run_state ON run (state);
CREATE INDEX run_episode ON run (episode);
CREATE INDEX run_admitted ON run (admitted_at);
CREATE INDEX run_finished ON run (finished_at);
CREATE INDEX run_target ON run (stack, remediation, target, finished_at);
CREATE INDEX outbox_due ON outbox (sent_at, next_attempt_at);
CREATE INDEX outbox_episode ON outbox (episode);
CREATE INDEX audit_run ON audit (run);
CREATE INDEX audit_hash ON audit (hash);
COMMIT;
