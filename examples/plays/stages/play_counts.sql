/* @stage
owner: charts
description: Plays per day, track, country and app.
partition: day
inputs:
  play_counts_hourly: {window: same}
key: [day, track_id, country, app]
*/
SELECT
    date_trunc('day', hour)::DATE AS day,
    track_id,
    country,
    app,
    sum(plays)::BIGINT AS plays,
    sum(spam_plays)::BIGINT AS spam_plays,
    sum(played_ms)::BIGINT AS played_ms
FROM play_counts_hourly
GROUP BY ALL
