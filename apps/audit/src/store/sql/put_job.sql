INSERT INTO jobs (
  id, namespace, queue, kind, state, attempts, enqueued_at_ms, updated_at_ms, finished_at_ms, next_attempt_at_ms, reason
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
  state = excluded.state, attempts = excluded.attempts, updated_at_ms = excluded.updated_at_ms,
  finished_at_ms = excluded.finished_at_ms, next_attempt_at_ms = excluded.next_attempt_at_ms, reason = excluded.reason
