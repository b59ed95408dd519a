/* @stage
owner: charts
description: The 100 tracks played most in the 28 days that end with this one.
partition: day
inputs:
  play_counts: {window: -27d..0d}
key: [day, place]
*/
WITH totals AS (
    SELECT
        track_id,
        sum(plays)::BIGINT AS plays,
        count(DISTINCT country) AS countries
    FROM play_counts
    GROUP BY track_id
    HAVING sum(plays) > 0
)
SELECT
    getvariable('partition_start')::TIMESTAMPTZ::DATE AS day,
    row_number() OVER (ORDER BY plays DESC, track_id) AS place,
    track_id,
    plays,
    countries
FROM totals
QUALIFY place <= 100
