/* @stage
owner: player
description: One row per play of a track. What is no usable play is in plays_rejected.
partition: hour
inputs:
  events: {window: same}
rejects: "track_id IS NULL OR listener_id IS NULL OR coalesce(played_ms, -1) NOT BETWEEN 0 AND 86400000"
contract:
  columns:
    play_id: {not_null: true}
    track_id: {not_null: true}
    listener_id: {not_null: true}
    played_ms: {min: 0, max: 86400000}
fingerprint:
  entropy: [track_id, country, app]
  measures: {seconds_per_play: "avg(played_ms) / 1000"}
key: [source, play_id, payload_hash]
*/
SELECT
    source,
    event_id AS play_id,
    payload_hash,
    occurred_at,
    visitor_id AS listener_id,
    nullif(properties ->> '$.track_id', '') AS track_id,
    try_cast(properties ->> '$.played_ms' AS BIGINT) AS played_ms,
    country,
    app,
    app_version,
    site,
    browser,
    os,
    device,
    is_bot
FROM events
WHERE type = 'track' AND name = 'Track Played'
