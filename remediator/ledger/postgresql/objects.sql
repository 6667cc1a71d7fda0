-- Creates what only a ledger on PostgreSQL has, and grants the rights on all tables. `runbookctl ledger migrate` runs it
-- after each migration, as the owner of the tables: every statement may be repeated.

-- The only row: who may write the ledger, until when by the clock of this server, and in which term. The term never
-- falls: it is the fence of every write.
CREATE TABLE IF NOT EXISTS leader (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    term bigint NOT NULL,
    holder text,
    elected_at bigint NOT NULL,
    expires_at bigint NOT NULL
) WITH (fillfactor = 50);
-- Where the rows were when a leader last knew that none is missing: a restore or a failover changes it.
ALTER TABLE leader ADD COLUMN IF NOT EXISTS origin text;
-- A fingerprint of the leader's inventory: a replica with another one warns.
ALTER TABLE leader ADD COLUMN IF NOT EXISTS inventory text;
INSERT INTO leader (term, elected_at, expires_at) VALUES (0, 0, 0) ON CONFLICT DO NOTHING;

-- The runs with an effect that has begun: the leader's term, and when the effect has ended at the latest by the clock of
-- this server. The next leader settles none of them before.
CREATE TABLE IF NOT EXISTS acting (
    run bigint PRIMARY KEY,
    term bigint NOT NULL,
    until bigint NOT NULL
);

-- The revisions of the tables, each with its release: a remediator of the release before the newest may go on.
CREATE TABLE IF NOT EXISTS schema_revision (
    position integer PRIMARY KEY,
    revision text NOT NULL UNIQUE,
    release text NOT NULL
);

-- Deletes at most `step` rows of the trail from its beginning, up to the first row that is younger than 400 days, and
-- records the cut in the trail as remediator/ledger/audit.py does. It has its owner's rights, because the writer may not
-- delete rows of the trail; the age is judged by the clock of this server, or by the caller's if that is behind.
CREATE OR REPLACE FUNCTION cut_trail(caller_now bigint, step integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
DECLARE
    server_now constant bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
    expired_before constant bigint := least(caller_now, server_now) - 400 * 86400 * 1000000::bigint;
    head_id bigint;
    head_hash text;
    last_id bigint;
    last_hash text;
    deleted integer;
    detail text;
    content text;
BEGIN
    PERFORM {lock};
    SELECT id, hash INTO head_id, head_hash FROM audit ORDER BY id DESC LIMIT 1;
    SELECT id, hash INTO last_id, last_hash FROM (
        SELECT id, hash, bool_and(at < expired_before) OVER (ORDER BY id) AS is_expired
        FROM (SELECT id, at, hash FROM audit WHERE id < head_id ORDER BY id LIMIT least(step, 1000)) AS oldest
    ) AS judged
    WHERE is_expired ORDER BY id DESC LIMIT 1;
    IF last_id IS NULL THEN
        RETURN 0;
    END IF;
    DELETE FROM audit WHERE id <= last_id;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    detail := format('{"hash": "%s", "through": %s}', last_hash, last_id);
    content := format(
        '["%s", "%s%sZ", null, "trail_cut", "remediator", %s]',
        head_hash,
        to_char(timestamp 'epoch' + caller_now / 1000000 * interval '1 second', 'YYYY-MM-DD"T"HH24:MI:SS'),
        CASE WHEN caller_now % 1000000 = 0 THEN '' ELSE '.' || lpad((caller_now % 1000000)::text, 6, '0') END,
        detail
    );
    INSERT INTO audit (id, at, run, event, actor, detail, hash) VALUES (
        head_id + 1, caller_now, NULL, 'trail_cut', 'remediator', detail::json,
        encode(sha256(convert_to(content, 'UTF8')), 'hex')
    );
    RETURN deleted;
END
$$;
REVOKE ALL ON FUNCTION cut_trail(bigint, integer) FROM PUBLIC;

-- The rights of the roles of deploy/postgres/ledger.sql.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'runbookd_writer') THEN
        GRANT USAGE ON SCHEMA {schema} TO runbookd_writer;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO runbookd_writer;
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO runbookd_writer;
        REVOKE UPDATE, DELETE, TRUNCATE ON audit FROM runbookd_writer;
        REVOKE INSERT, UPDATE, DELETE ON alembic_version, schema_revision FROM runbookd_writer;
        REVOKE INSERT, DELETE ON leader FROM runbookd_writer;
        GRANT EXECUTE ON FUNCTION cut_trail(bigint, integer) TO runbookd_writer;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'runbookd_auditor') THEN
        GRANT USAGE ON SCHEMA {schema} TO runbookd_auditor;
        GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO runbookd_auditor;
        -- The keys with which the console tells its own forms and sessions apart.
        REVOKE SELECT ON console_key, console_session FROM runbookd_auditor;
    END IF;
END
$$;
