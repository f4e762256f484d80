-- Read models: folds of the records, which can be dropped and made again from them.

ALTER TABLE jobs ADD COLUMN ready_at_ms BIGINT;
ALTER TABLE jobs ADD COLUMN started_at_ms BIGINT;
ALTER TABLE jobs ADD COLUMN status INTEGER;
ALTER TABLE jobs ADD COLUMN discarded_at_ms BIGINT;

-- One row for each delivery of a job, takeovers included: the epoch rises with each.
CREATE TABLE attempts (
  job_id TEXT COLLATE "C" NOT NULL,
  epoch INTEGER NOT NULL,
  namespace TEXT COLLATE "C" NOT NULL,
  queue TEXT COLLATE "C" NOT NULL,
  attempt INTEGER NOT NULL,
  consumer TEXT COLLATE "C",
  outcome TEXT COLLATE "C" NOT NULL,
  started_at_ms BIGINT NOT NULL,
  finished_at_ms BIGINT,
  duration_ms BIGINT,
  status INTEGER,
  reason TEXT COLLATE "C",
  PRIMARY KEY (job_id, epoch)
);
CREATE INDEX attempts_time ON attempts (started_at_ms, job_id, epoch);

CREATE TABLE schedules (
  namespace TEXT COLLATE "C" NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  rule TEXT COLLATE "C",
  tz TEXT COLLATE "C",
  next_at_ms BIGINT,
  paused_at_ms BIGINT,
  paused_by TEXT COLLATE "C",
  last_fired_at_ms BIGINT,
  fired BIGINT NOT NULL,
  skipped BIGINT NOT NULL,
  missed BIGINT NOT NULL,
  removed_at_ms BIGINT,
  updated_at_ms BIGINT NOT NULL,
  PRIMARY KEY (namespace, name)
);

-- What became of each nominal time, or of a stretch of them (`count`, `until_ms`).
CREATE TABLE ticks (
  namespace TEXT COLLATE "C" NOT NULL,
  schedule TEXT COLLATE "C" NOT NULL,
  id TEXT COLLATE "C" NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  state TEXT COLLATE "C" NOT NULL,
  reason TEXT COLLATE "C",
  at_ms BIGINT NOT NULL,
  until_ms BIGINT,
  count BIGINT NOT NULL,
  late_ms BIGINT,
  fired_at_ms BIGINT,
  job_id TEXT COLLATE "C",
  gas BIGINT,
  PRIMARY KEY (namespace, schedule, id)
);
CREATE INDEX ticks_time ON ticks (at_ms, namespace, schedule, id);

CREATE TABLE subscriptions (
  namespace TEXT COLLATE "C" NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  events BIGINT NOT NULL,
  last_event_at_ms BIGINT,
  losses BIGINT NOT NULL,
  lost_at_ms BIGINT,
  moved_at_ms BIGINT,
  moved_by TEXT COLLATE "C",
  replay_id TEXT COLLATE "C",
  replay_state TEXT COLLATE "C",
  replayed BIGINT,
  updated_at_ms BIGINT NOT NULL,
  PRIMARY KEY (namespace, name)
);

-- Tokens per schedule and day (UTC, as `2026-11-22`).
CREATE TABLE gas (
  namespace TEXT COLLATE "C" NOT NULL,
  day TEXT COLLATE "C" NOT NULL,
  schedule TEXT COLLATE "C" NOT NULL,
  tokens BIGINT NOT NULL,
  ticks BIGINT NOT NULL,
  PRIMARY KEY (namespace, day, schedule)
);

-- What happened in a queue in each minute, hour and day; the short ones are deleted after a while.
CREATE TABLE queue_stats (
  namespace TEXT COLLATE "C" NOT NULL,
  queue TEXT COLLATE "C" NOT NULL,
  resolution TEXT COLLATE "C" NOT NULL,
  start_ms BIGINT NOT NULL,
  enqueued BIGINT NOT NULL,
  started BIGINT NOT NULL,
  succeeded BIGINT NOT NULL,
  failed BIGINT NOT NULL,
  postponed BIGINT NOT NULL,
  dead BIGINT NOT NULL,
  cancelled BIGINT NOT NULL,
  expired BIGINT NOT NULL,
  wait_ms BIGINT NOT NULL,
  max_wait_ms BIGINT NOT NULL,
  run_ms BIGINT NOT NULL,
  max_run_ms BIGINT NOT NULL,
  PRIMARY KEY (namespace, queue, resolution, start_ms)
);
CREATE INDEX queue_stats_age ON queue_stats (resolution, start_ms);

-- Which version of the folds a read model was made by: an older one is made again.
CREATE TABLE read_models (
  name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  version INTEGER NOT NULL,
  built_at_ms BIGINT NOT NULL
);

-- A member of a JSON text, as text. NULL where there is none, and where the text is no JSON that PostgreSQL can take
-- apart: whoever else writes into the log must not make a search fail.
CREATE FUNCTION millrace_json_text(data TEXT, path TEXT[]) RETURNS TEXT LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  -- JSON may say NUL and a text of PostgreSQL cannot: it becomes U+FFFD.
  RETURN replace(data, '\u0000', '\ufffd')::json #>> path;
EXCEPTION WHEN OTHERS THEN
  RETURN NULL;
END
$$;
