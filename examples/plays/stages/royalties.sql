/* @stage
owner: finance
description: What is owed per track and country for plays of 30 seconds and more that are not spam.
partition: day
inputs:
  plays_classified: {window: same}
  rates: {window: latest}
contract:
  columns:
    amount: {not_null: true, min: 0}
key: [day, track_id, country]
late: {debounce: 10s}
*/
SELECT
    date_trunc('day', occurred_at)::DATE AS day,
    track_id,
    coalesce(plays_classified.country, 'ZZ') AS country,
    count(*) AS plays,
    -- Decimals add up exactly, in any order.
    sum(coalesce(own.rate, other.rate)::DECIMAL(12, 6))::DECIMAL(18, 6) AS amount
FROM plays_classified
LEFT JOIN rates AS own ON own.country = plays_classified.country
LEFT JOIN rates AS other ON other.country = 'ZZ'
WHERE NOT is_spam AND played_ms >= 30000
GROUP BY ALL
