-- Which event tells that data and salt of a record were destroyed. A record without them and without this was tampered
-- with; one with it is as it should be when that event names it.
ALTER TABLE records ADD COLUMN erased_by TEXT;

-- Legal holds: while one is in force, no payload that it covers is destroyed. A fold of `hold.placed` and `hold.released`,
-- kept for what was held when.
CREATE TABLE holds (
  id TEXT NOT NULL PRIMARY KEY,
  namespace TEXT NOT NULL,
  entity_id TEXT,
  who TEXT NOT NULL,
  why TEXT NOT NULL,
  placed_at_ms BIGINT NOT NULL,
  released_at_ms BIGINT
);
