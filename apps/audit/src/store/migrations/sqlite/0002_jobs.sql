-- Read model: what became of each job. It can be dropped and folded again from the records. The payload is not here: it
-- is in the record of `job.enqueued`, whose event id is made of the same log position as the job's id.
CREATE TABLE jobs (
  id TEXT NOT NULL PRIMARY KEY,
  namespace TEXT NOT NULL,
  queue TEXT NOT NULL,
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  enqueued_at_ms BIGINT NOT NULL,
  updated_at_ms BIGINT NOT NULL,
  finished_at_ms BIGINT,
  next_attempt_at_ms BIGINT,
  reason TEXT
);

-- A job's id begins with its time, so these give jobs in the order of time.
CREATE INDEX jobs_queue ON jobs (namespace, queue, id);
CREATE INDEX jobs_state ON jobs (state, id);
