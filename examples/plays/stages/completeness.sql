/* @stage
owner: platform
description: >
  How much of what clients did has arrived, per hour and application version, by the
  numbers of their streams: lost in flight, and lost at the client, as clients report
  themselves. `complete` is the share of numbered events that arrived, NULL where none
  are numbered; `horizon` is how long 99 in 100 took at most.
partition: hour
inputs:
  # What is missing behind the last event of a stream shows when the device is back.
  # If it may be away for longer, change INTERVAL 6 HOURS below as well.
  streams: {window: -1h..+6h}
contract:
  columns:
    complete: {min: 0, max: 1}
    lost_in_flight: {not_null: true, min: 0}
    lost_at_client: {not_null: true, min: 0}
fingerprint:
  measures: {complete: "sum(numbered) / nullif(sum(numbered + lost_in_flight + lost_at_client), 0)"}
key: [hour, source, app, app_version]
late: {debounce: 15s}
*/
WITH
-- The stretches of a stream in order: its beginning, the hours in which events of it
-- came, and its end. What is missing lies between the last number of one and the first
-- of the next.
stretches AS (
    SELECT source, stream_id, 1 AS place, hour AS seen, app, app_version,
        first_seq, first_at, first_dropped, last_seq, last_at, last_dropped
    FROM streams WHERE stream_id IS NOT NULL
    UNION ALL
    SELECT source, stream_id, 0, min(hour), NULL, NULL, NULL, NULL, NULL, -1, min(began_at), 0
    FROM (
        SELECT source, stream_id, hour, began_at FROM streams WHERE stream_id IS NOT NULL
        UNION ALL
        SELECT source, previous_stream, hour, previous_began_at FROM streams WHERE previous_stream IS NOT NULL
    )
    WHERE began_at IS NOT NULL
    GROUP BY source, stream_id
    UNION ALL
    SELECT source, previous_stream, 2, min(hour), min(app), min(app_version),
        max(previous_seq) + 1, arg_max(previous_at, (previous_seq, previous_at)), max(previous_dropped), NULL, NULL, NULL
    FROM streams WHERE previous_stream IS NOT NULL
    GROUP BY source, previous_stream
),
gaps AS (
    SELECT
        source,
        -- At the end of a stream, the version is the stream's own.
        CASE WHEN place = 2 THEN coalesce(lag(app) OVER stream, app) ELSE app END AS app,
        CASE WHEN place = 2 THEN coalesce(lag(app_version) OVER stream, app_version) ELSE app_version END AS app_version,
        seen,
        place = 2 AS ends,
        first_seq - lag(last_seq) OVER stream - 1 AS missing,
        first_dropped - lag(last_dropped) OVER stream AS reported,
        lag(last_at) OVER stream AS since,
        greatest(first_at, lag(last_at) OVER stream) AS until
    FROM stretches
    WINDOW stream AS (PARTITION BY source, stream_id ORDER BY place, seen)
),
-- Missing events are taken to have happened evenly between those around them, if these
-- are in one hour or in two that follow each other; else right after the first, where
-- the silence began. Those the client reports are taken to be the first.
placed AS (
    SELECT
        source,
        app,
        app_version,
        missing,
        -- The last event of a stream is the end itself.
        CASE WHEN ends THEN missing ELSE missing + 1 END AS steps,
        least(greatest(reported, 0), missing) AS reported,
        epoch_us(since) AS since,
        CASE WHEN date_trunc('hour', until) <= date_trunc('hour', since) + INTERVAL 1 HOUR
            THEN greatest(epoch_us(until) - epoch_us(since), 1) ELSE 1
        END AS took
    FROM gaps
    -- More than 1,000 missing in a row are no loss: something else counts from there on.
    WHERE missing BETWEEN 1 AND 1000
      AND since >= getvariable('partition_start')::TIMESTAMPTZ - INTERVAL 1 HOUR
      AND since < getvariable('partition_end')::TIMESTAMPTZ
      -- So that every hour that has a part of a gap counts it or none does.
      AND seen <= date_trunc('hour', since) + INTERVAL 6 HOURS
),
-- How many of a gap happened before this hour began, and before it ended.
shared AS (
    SELECT
        *,
        least(missing, greatest((epoch_us(getvariable('partition_start')::TIMESTAMPTZ) - since) * steps - 1, 0) // took) AS before,
        least(missing, greatest((epoch_us(getvariable('partition_end')::TIMESTAMPTZ) - since) * steps - 1, 0) // took) AS after
    FROM placed
),
counted AS (
    SELECT
        source, app, app_version, received, within_5m, within_1h, within_1d, lost_in_flight, lost_at_client,
        CASE WHEN stream_id IS NULL THEN 0 ELSE received END AS numbered
    FROM streams
    WHERE hour = getvariable('partition_start')::TIMESTAMPTZ
    UNION ALL
    SELECT
        source, app, app_version, 0, 0, 0, 0,
        (after - least(after, reported)) - (before - least(before, reported)),
        least(after, reported) - least(before, reported),
        0
    FROM shared
    WHERE after > before
),
totals AS (
    SELECT
        source,
        app,
        app_version,
        sum(received)::BIGINT AS received,
        sum(numbered)::BIGINT AS numbered,
        sum(lost_in_flight)::BIGINT AS lost_in_flight,
        sum(lost_at_client)::BIGINT AS lost_at_client,
        sum(within_5m)::BIGINT AS within_5m,
        sum(within_1h)::BIGINT AS within_1h,
        sum(within_1d)::BIGINT AS within_1d
    FROM counted
    GROUP BY source, app, app_version
)
SELECT
    getvariable('partition_start')::TIMESTAMPTZ AS hour,
    source,
    app,
    app_version,
    received,
    numbered,
    lost_in_flight,
    lost_at_client,
    numbered / nullif(numbered + lost_in_flight + lost_at_client, 0) AS complete,
    CASE
        WHEN received = 0 THEN NULL
        WHEN within_5m * 100 >= received * 99 THEN '5 minutes'
        WHEN within_1h * 100 >= received * 99 THEN '1 hour'
        WHEN within_1d * 100 >= received * 99 THEN '1 day'
        ELSE 'more than a day'
    END AS horizon
FROM totals
