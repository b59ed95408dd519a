/* @stage
owner: insights
description: >
  What one listener played without a pause of more than 30 minutes. A session
  belongs to the hour it starts in and is cut at the end of the following hour.
partition: hour
inputs:
  plays_classified: {window: -1h..+1h}
contract:
  columns:
    plays: {min: 1}
key: [listener_id, started_at]
late: {debounce: 5s}
*/
WITH ordered AS (
    SELECT
        *,
        occurred_at - lag(occurred_at) OVER listener AS pause
    FROM plays_classified
    WHERE NOT is_spam
    WINDOW listener AS (PARTITION BY listener_id ORDER BY occurred_at, source, play_id, payload_hash)
),
numbered AS (
    SELECT
        *,
        count(*) FILTER (WHERE pause IS NULL OR pause > INTERVAL 30 MINUTES) OVER listener AS session
    FROM ordered
    WINDOW listener AS (PARTITION BY listener_id ORDER BY occurred_at, source, play_id, payload_hash ROWS UNBOUNDED PRECEDING)
)
SELECT
    listener_id,
    min(occurred_at) AS started_at,
    max(occurred_at) AS ended_at,
    count(*) AS plays,
    count(DISTINCT track_id) AS tracks,
    count(DISTINCT app) AS apps,
    sum(played_ms)::BIGINT AS played_ms
FROM numbered
GROUP BY listener_id, session
-- The first play in the window looks like a start whatever came before it; the
-- hour before this one is there to tell, and its sessions belong to it.
HAVING min(occurred_at) >= getvariable('partition_start')::TIMESTAMPTZ
   AND min(occurred_at) < getvariable('partition_end')::TIMESTAMPTZ
