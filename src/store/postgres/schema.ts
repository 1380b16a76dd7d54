/** The version of the schema below. An older schema is migrated, a newer one is rejected. */
export const schemaVersion = 1;

/** The notification channel for changes; its name is visible in the whole database. */
export const changeChannel = "kuma_changes";

/**
 * Types without notifications: status reports of proxies would drown the configuration changes. A test checks that they
 * are the registry's types that are excluded from the feed.
 */
export const quietTypes: readonly string[] = ["DataplaneInsight"];

/** The first key of our advisory locks, "kuma" as a number: other programs may use locks in the same database. */
const lockSpace = 0x6b756d61;
/** Held from taking a sequence number until the end of the transaction, so that changes become visible in order. */
const changeLock = `${lockSpace}, 1`;
/** Held while the schema is created. */
const schemaLock = `${lockSpace}, 2`;
/** Held by the instance that cleans up. */
export const housekeepingLock = `${lockSpace}, 3`;

const quiet = quietTypes.map((type) => `'${type}'`).join(", ");

/** A row trigger that fires after its statement has changed and locked all its rows. */
const announces = (name: string, event: string, row: "OLD" | "NEW", condition = "") => `
DROP TRIGGER IF EXISTS ${name} ON resources;
CREATE TRIGGER ${name} AFTER ${event} ON resources
    FOR EACH ROW WHEN (${row}.type NOT IN (${quiet})${condition})
    EXECUTE FUNCTION announce_resource_change('${row}');
`;

/**
 * The SQL that creates or migrates the schema; it is idempotent. The table `resources` is Kuma 0.3's. Everything else
 * serves the change feed and is maintained by triggers, so that no write is missed, whoever makes it.
 */
export const schema = `BEGIN;

DO $$ BEGIN PERFORM pg_advisory_xact_lock(${schemaLock}); END $$;

CREATE TABLE IF NOT EXISTS resources (
    name        varchar(100) NOT NULL,
    namespace   varchar(100) NOT NULL,
    mesh        varchar(100) NOT NULL,
    type        varchar(100) NOT NULL,
    version     integer NOT NULL,
    spec        text,
    PRIMARY KEY (name, namespace, mesh, type)
);

CREATE TABLE IF NOT EXISTS kuma_schema (
    version     integer NOT NULL
);

DO $$ BEGIN
    IF EXISTS (SELECT FROM kuma_schema WHERE version > ${schemaVersion}) THEN
        RAISE EXCEPTION 'the schema of this database is of version %, made by a newer Kuma than this one, whose is ${schemaVersion}',
            (SELECT max(version) FROM kuma_schema);
    END IF;
END $$;

-- What was changed, in the order in which it became visible. Specs are not kept here: a reader wants the newest.
CREATE TABLE IF NOT EXISTS resource_changes (
    sequence    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    type        varchar(100) NOT NULL,
    mesh        varchar(100) NOT NULL,
    name        varchar(100) NOT NULL,
    version     integer NOT NULL,
    deleted     boolean NOT NULL,
    changed_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The control planes that run, by their signs of life.
CREATE TABLE IF NOT EXISTS control_plane_instances (
    id          varchar(36) PRIMARY KEY,
    started_at  timestamptz NOT NULL DEFAULT now(),
    seen_at     timestamptz NOT NULL DEFAULT now()
);

CREATE OR REPLACE FUNCTION announce_resource_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    touched resources;
    announced text;
BEGIN
    IF TG_ARGV[0] = 'OLD' THEN touched := OLD; ELSE touched := NEW; END IF;
    -- Without the lock, which is there before the number is taken, a number could become visible after a higher one, and
    -- who had read that one would miss it.
    INSERT INTO resource_changes (type, mesh, name, version, deleted)
    SELECT touched.type, touched.mesh, touched.name, touched.version, TG_ARGV[0] = 'OLD'
    FROM pg_advisory_xact_lock(${changeLock})
    RETURNING pg_notify('${changeChannel}', json_build_object('sequence', sequence, 'type', type, 'mesh', mesh,
        'name', name, 'version', version)::text)
    INTO announced;
    RETURN NULL;
END $$;
${announces("announce_insert", "INSERT", "NEW")}${announces("announce_update", "UPDATE", "NEW")}${announces("announce_delete", "DELETE", "OLD")}
-- Who renames a row by hand deletes what had the old name. Triggers fire in the order of their names.
${announces("announce_rename", "UPDATE OF type, mesh, name", "OLD", " AND (OLD.type, OLD.mesh, OLD.name) <> (NEW.type, NEW.mesh, NEW.name)").trimStart()}
-- An entry without a type says that everything may have changed.
CREATE OR REPLACE FUNCTION announce_truncated_resources() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(${changeLock});
    INSERT INTO resource_changes (type, mesh, name, version, deleted) VALUES ('', '', '', 0, true);
    PERFORM pg_notify('${changeChannel}', '{}');
    RETURN NULL;
END $$;

DROP TRIGGER IF EXISTS announce_truncate ON resources;
CREATE TRIGGER announce_truncate AFTER TRUNCATE ON resources
    FOR EACH STATEMENT EXECUTE FUNCTION announce_truncated_resources();

-- The first entry is where a reader of an empty database begins.
INSERT INTO resource_changes (type, mesh, name, version, deleted)
SELECT '', '', '', 0, true WHERE NOT EXISTS (SELECT FROM resource_changes);

DELETE FROM kuma_schema;
INSERT INTO kuma_schema (version) VALUES (${schemaVersion});

COMMIT;
`;
