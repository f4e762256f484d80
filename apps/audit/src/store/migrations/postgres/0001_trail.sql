-- The audit trail. The collation "C" compares by bytes, as SQLite does: ids and event types are read in ranges.

-- One row for each event of the log. `record` is the canonical text that `event_hash` is of; the columns before it are
-- copies of its members to search by, and a verification compares them with it. `data` and `salt` may become NULL one
-- day, when a payload has to be erased; every hash verifies without them.
CREATE TABLE records (
  event_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  partition INTEGER NOT NULL,
  seq BIGINT NOT NULL,
  namespace TEXT COLLATE "C" NOT NULL,
  entity_id TEXT COLLATE "C" NOT NULL,
  chain_index BIGINT NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  event_type TEXT COLLATE "C" NOT NULL,
  who TEXT COLLATE "C" NOT NULL,
  when_ms BIGINT NOT NULL,
  record TEXT COLLATE "C" NOT NULL,
  event_hash TEXT COLLATE "C" NOT NULL,
  salt TEXT COLLATE "C",
  data TEXT COLLATE "C"
);

-- These two also make a fork of a chain and a doubled event impossible to store.
CREATE UNIQUE INDEX records_chain ON records (namespace, entity_id, chain_index);
CREATE UNIQUE INDEX records_trail ON records (partition, seq);
-- An event id begins with its time, so these give a type's or a person's events in the order of time.
CREATE INDEX records_type ON records (namespace, event_type, event_id);
CREATE INDEX records_who ON records (who, event_id);

-- The head of each chain: what shows that a tail was cut off, and what the next record follows.
CREATE TABLE heads (
  namespace TEXT COLLATE "C" NOT NULL,
  entity_id TEXT COLLATE "C" NOT NULL,
  length BIGINT NOT NULL,
  hash TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (namespace, entity_id)
);

-- How far each partition's log has been recorded. It moves in the transaction that adds the records, and only from the
-- value that the recorder started from: a recorder that was replaced meanwhile changes nothing.
CREATE TABLE cursors (
  partition INTEGER NOT NULL PRIMARY KEY,
  position TEXT COLLATE "C" NOT NULL,
  entries_read BIGINT NOT NULL,
  seq BIGINT NOT NULL
);
