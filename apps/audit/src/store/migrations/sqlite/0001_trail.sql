-- The audit trail. Its twin for PostgreSQL has the same tables and columns; a test holds the two together.

-- One row for each event of the log. `record` is the canonical text that `event_hash` is of; the columns before it are
-- copies of its members to search by, and a verification compares them with it. `data` and `salt` may become NULL one
-- day, when a payload has to be erased; every hash verifies without them.
CREATE TABLE records (
  event_id TEXT NOT NULL PRIMARY KEY,
  partition INTEGER NOT NULL,
  seq BIGINT NOT NULL,
  namespace TEXT NOT NULL,
  entity_id TEXT NOT NULL,
  chain_index BIGINT NOT NULL,
  kind TEXT NOT NULL,
  event_type TEXT NOT NULL,
  who TEXT NOT NULL,
  when_ms BIGINT NOT NULL,
  record TEXT NOT NULL,
  event_hash TEXT NOT NULL,
  salt TEXT,
  data TEXT
);

-- These two also make a fork of a chain and a doubled event impossible to store.
CREATE UNIQUE INDEX records_chain ON records (namespace, entity_id, chain_index);
CREATE UNIQUE INDEX records_trail ON records (partition, seq);
-- An event id begins with its time, so these give a type's or a person's events in the order of time.
CREATE INDEX records_type ON records (namespace, event_type, event_id);
CREATE INDEX records_who ON records (who, event_id);

-- The head of each chain: what shows that a tail was cut off, and what the next record follows.
CREATE TABLE heads (
  namespace TEXT NOT NULL,
  entity_id TEXT NOT NULL,
  length BIGINT NOT NULL,
  hash TEXT NOT NULL,
  PRIMARY KEY (namespace, entity_id)
);

-- How far each partition's log has been recorded. It moves in the transaction that adds the records, and only from the
-- value that the recorder started from: a recorder that was replaced meanwhile changes nothing.
CREATE TABLE cursors (
  partition INTEGER NOT NULL PRIMARY KEY,
  position TEXT NOT NULL,
  entries_read BIGINT NOT NULL,
  seq BIGINT NOT NULL
);
