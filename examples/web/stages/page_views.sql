/* @stage
owner: web
description: One row per page shown to a person.
partition: hour
inputs:
  events: {window: same}
rejects: "host IS NULL OR visitor_id IS NULL"
contract:
  columns:
    host: {not_null: true}
    path: {not_null: true}
fingerprint:
  entropy: [path, referrer, country]
key: [source, view_id, payload_hash]
*/
SELECT
    source,
    event_id AS view_id,
    payload_hash,
    occurred_at,
    visitor_id,
    url_host(url) AS host,
    coalesce(url_path(url), '/') AS path,
    title,
    -- Moving about on one site is not being sent there.
    CASE
        WHEN referrer_host(referrer_url) = referrer_host(url) THEN NULL
        ELSE referrer_host(referrer_url)
    END AS referrer,
    url_param(url, 'utm_source') AS campaign_source,
    url_param(url, 'utm_campaign') AS campaign,
    country,
    browser,
    os,
    device
FROM events
WHERE type = 'page' AND NOT is_bot
