SELECT id, namespace, queue, kind, state, attempts, enqueued_at_ms, updated_at_ms, finished_at_ms, next_attempt_at_ms, reason
FROM jobs WHERE id = ?
