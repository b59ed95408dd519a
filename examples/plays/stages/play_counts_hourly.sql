/* @stage
owner: charts
description: Plays per hour in the finest grain the charts need. Days add these up instead of reading every play again.
partition: hour
inputs:
  plays_classified: {window: same}
key: [hour, track_id, country, app, site]
*/
SELECT
    date_trunc('hour', occurred_at) AS hour,
    track_id,
    country,
    app,
    site,
    count(*) FILTER (WHERE NOT is_spam) AS plays,
    count(*) FILTER (WHERE is_spam) AS spam_plays,
    coalesce(sum(played_ms) FILTER (WHERE NOT is_spam), 0)::BIGINT AS played_ms
FROM plays_classified
GROUP BY ALL
