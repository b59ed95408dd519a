/* @stage
owner: platform
description: >
  What clients say of their numbering, per stream and hour: the first and last number
  that came, what is missing between them, when the stream began, and where the
  device's stream before it ended. Events without numbers are a row without a stream.
partition: hour
inputs:
  raw: {window: same}
contract:
  columns:
    received: {min: 1}
    lost_in_flight: {not_null: true, min: 0}
    lost_at_client: {not_null: true, min: 0}
key: [hour, source, stream_id, app, app_version]
late: {debounce: 10s}
*/
WITH events AS (
    SELECT
        source,
        coalesce(context ->> '$.app.name', 'unknown') AS app,
        coalesce(context ->> '$.app.version', 'unknown') AS app_version,
        -- Nobody counts to 2^53, and sums of what is below are numbers still.
        CASE WHEN seq < 9007199254740992 THEN stream_id END AS stream_id,
        CASE WHEN seq < 9007199254740992 AND stream_id IS NOT NULL THEN seq END AS seq,
        occurred_at,
        occurred_at - claimed_at AS behind, -- the client's clock, which streams and their ends are told by
        received_at - occurred_at AS delay,
        greatest(coalesce(try_cast(extra ->> '$.dropped' AS BIGINT), 0), 0) AS dropped,
        extra ->> '$.previous.stream_id' AS previous_stream,
        try_cast(extra ->> '$.previous.seq' AS BIGINT) AS previous_seq,
        greatest(coalesce(try_cast(extra ->> '$.previous.dropped' AS BIGINT), 0), 0) AS previous_dropped,
        try_cast(extra ->> '$.previous.time' AS TIMESTAMPTZ) AS previous_time,
        time_corrected OR time_implausible AS clock_wrong,
        claimed_at
    FROM raw
),
-- A number counts once, also if a client that counts badly gives it to two events.
numbers AS (
    SELECT
        source,
        stream_id,
        seq,
        CASE WHEN stream_id IS NULL THEN app END AS unnumbered_app,
        CASE WHEN stream_id IS NULL THEN app_version END AS unnumbered_version,
        min(app) AS app,
        min(app_version) AS app_version,
        count(*) AS received,
        count(*) FILTER (WHERE delay <= INTERVAL 5 MINUTES) AS within_5m,
        count(*) FILTER (WHERE delay <= INTERVAL 1 HOUR) AS within_1h,
        count(*) FILTER (WHERE delay <= INTERVAL 24 HOURS) AS within_1d,
        min(occurred_at) AS happened,
        min(behind) AS behind,
        max(dropped) AS dropped,
        -- Of one event, whole or not at all.
        min(CASE WHEN previous_stream IS NOT NULL AND previous_seq BETWEEN 0 AND 9007199254740991 AND behind IS NOT NULL
            AND previous_time BETWEEN TIMESTAMPTZ '1970-01-01 00:00:00Z' AND TIMESTAMPTZ '9999-12-31 00:00:00Z' THEN
            {'stream_id': previous_stream, 'seq': previous_seq, 'dropped': previous_dropped, 'at': previous_time + behind,
             'sure': NOT clock_wrong AND previous_time <= claimed_at}
        END) AS previous
    FROM events
    GROUP BY source, stream_id, seq, unnumbered_app, unnumbered_version
),
steps AS (
    SELECT
        *,
        -- More than 1,000 missing in a row are no loss: something else counts from there on.
        CASE WHEN seq - lag(seq) OVER stream <= 1001 THEN seq - lag(seq) OVER stream - 1 ELSE 0 END AS missing,
        greatest(dropped - lag(dropped) OVER stream, 0) AS reported
    FROM numbers
    WINDOW stream AS (PARTITION BY source, stream_id ORDER BY seq)
),
streams AS (
    SELECT
        source,
        stream_id,
        arg_min(app, (seq, app)) AS app,
        arg_min(app_version, (seq, app_version)) AS app_version,
        sum(received)::BIGINT AS received,
        sum(within_5m)::BIGINT AS within_5m,
        sum(within_1h)::BIGINT AS within_1h,
        sum(within_1d)::BIGINT AS within_1d,
        coalesce(sum(missing - least(missing, reported)), 0)::BIGINT AS lost_in_flight,
        coalesce(sum(least(missing, reported)), 0)::BIGINT AS lost_at_client,
        min(seq) AS first_seq,
        arg_min(happened, seq) AS first_at,
        arg_min(dropped, seq) AS first_dropped,
        max(seq) AS last_seq,
        arg_max(happened, seq) AS last_at,
        arg_max(dropped, seq) AS last_dropped,
        arg_min(behind, seq) AS behind,
        min(previous) AS previous
    FROM steps
    GROUP BY source, stream_id, unnumbered_app, unnumbered_version
)
SELECT
    getvariable('partition_start')::TIMESTAMPTZ AS hour,
    streams.* EXCLUDE (behind, previous),
    -- A UUIDv7 begins with the time it was made, in milliseconds.
    CASE WHEN regexp_full_match(stream_id, '[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}')
        THEN to_timestamp(('0x' || stream_id[:8] || stream_id[10:13])::BIGINT / 1000) + behind
    END AS began_at,
    previous.stream_id AS previous_stream,
    previous.seq AS previous_seq,
    previous.dropped AS previous_dropped,
    previous.at AS previous_at,
    -- Where clocks disagree, events of that stream may be in other hours than these say.
    CASE WHEN previous.sure AND regexp_full_match(previous.stream_id, '[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}')
        THEN to_timestamp(('0x' || previous.stream_id[:8] || previous.stream_id[10:13])::BIGINT / 1000) + behind
    END AS previous_began_at
FROM streams
