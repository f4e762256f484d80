-- Read models: folds of the records, which can be dropped and made again from them.

ALTER TABLE jobs ADD COLUMN ready_at_ms BIGINT;
ALTER TABLE jobs ADD COLUMN started_at_ms BIGINT;
ALTER TABLE jobs ADD COLUMN status INTEGER;
ALTER TABLE jobs ADD COLUMN discarded_at_ms BIGINT;

-- One row for each delivery of a job, takeovers included: the epoch rises with each.
CREATE TABLE attempts (
  job_id TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  namespace TEXT NOT NULL,
  queue TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  consumer TEXT,
  outcome TEXT NOT NULL,
  started_at_ms BIGINT NOT NULL,
  finished_at_ms BIGINT,
  duration_ms BIGINT,
  status INTEGER,
  reason TEXT,
  PRIMARY KEY (job_id, epoch)
);
CREATE INDEX attempts_time ON attempts (started_at_ms, job_id, epoch);

CREATE TABLE schedules (
  namespace TEXT NOT NULL,
  name TEXT NOT NULL,
  rule TEXT,
  tz TEXT,
  next_at_ms BIGINT,
  paused_at_ms BIGINT,
  paused_by TEXT,
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
  namespace TEXT NOT NULL,
  schedule TEXT NOT NULL,
  id TEXT NOT NULL,
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT,
  at_ms BIGINT NOT NULL,
  until_ms BIGINT,
  count BIGINT NOT NULL,
  late_ms BIGINT,
  fired_at_ms BIGINT,
  job_id TEXT,
  gas BIGINT,
  PRIMARY KEY (namespace, schedule, id)
);
CREATE INDEX ticks_time ON ticks (at_ms, namespace, schedule, id);

CREATE TABLE subscriptions (
  namespace TEXT NOT NULL,
  name TEXT NOT NULL,
  events BIGINT NOT NULL,
  last_event_at_ms BIGINT,
  losses BIGINT NOT NULL,
  lost_at_ms BIGINT,
  moved_at_ms BIGINT,
  moved_by TEXT,
  replay_id TEXT,
  replay_state TEXT,
  replayed BIGINT,
  updated_at_ms BIGINT NOT NULL,
  PRIMARY KEY (namespace, name)
);

-- Tokens per schedule and day (UTC, as `2026-11-22`).
CREATE TABLE gas (
  namespace TEXT NOT NULL,
  day TEXT NOT NULL,
  schedule TEXT NOT NULL,
  tokens BIGINT NOT NULL,
  ticks BIGINT NOT NULL,
  PRIMARY KEY (namespace, day, schedule)
);

-- What happened in a queue in each minute, hour and day; the short ones are deleted after a while.
CREATE TABLE queue_stats (
  namespace TEXT NOT NULL,
  queue TEXT NOT NULL,
  resolution TEXT NOT NULL,
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
  name TEXT NOT NULL PRIMARY KEY,
  version INTEGER NOT NULL,
  built_at_ms BIGINT NOT NULL
);
