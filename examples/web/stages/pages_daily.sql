/* @stage
owner: web
description: Views and visitors per page and day.
partition: day
inputs:
  page_views: {window: same}
key: [day, host, path]
late: {debounce: 5s}
*/
SELECT
    date_trunc('day', occurred_at)::DATE AS day,
    host,
    path,
    count(*) AS views,
    count(DISTINCT visitor_id) AS visitors
FROM page_views
GROUP BY ALL
