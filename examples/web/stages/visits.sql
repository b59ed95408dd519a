/* @stage
owner: web
description: >
  What one visitor looked at without a pause of more than 30 minutes. A visit
  belongs to the hour it starts in and is cut at the end of the following hour.
partition: hour
inputs:
  page_views: {window: -1h..+1h}
contract:
  columns:
    views: {min: 1}
key: [visitor_id, started_at]
late: {debounce: 5s}
*/
WITH ordered AS (
    SELECT
        *,
        occurred_at - lag(occurred_at) OVER visitor AS pause
    FROM page_views
    WINDOW visitor AS (PARTITION BY visitor_id ORDER BY occurred_at, source, view_id, payload_hash)
),
numbered AS (
    SELECT
        *,
        count(*) FILTER (WHERE pause IS NULL OR pause > INTERVAL 30 MINUTES) OVER visitor AS visit
    FROM ordered
    WINDOW visitor AS (PARTITION BY visitor_id ORDER BY occurred_at, source, view_id, payload_hash ROWS UNBOUNDED PRECEDING)
)
SELECT
    visitor_id,
    min(occurred_at) AS started_at,
    max(occurred_at) AS ended_at,
    count(*) AS views,
    count(DISTINCT path) AS pages,
    -- Ordered by a total order, so that the entry is the same in every run.
    arg_min(path, (occurred_at, source, view_id, payload_hash)) AS entry_path,
    arg_max(path, (occurred_at, source, view_id, payload_hash)) AS exit_path,
    arg_min(referrer, (occurred_at, source, view_id, payload_hash)) AS referrer
FROM numbered
GROUP BY visitor_id, visit
-- The first view in the window looks like a start whatever came before it; the
-- hour before this one is there to tell, and its visits belong to it.
HAVING min(occurred_at) >= getvariable('partition_start')::TIMESTAMPTZ
   AND min(occurred_at) < getvariable('partition_end')::TIMESTAMPTZ
