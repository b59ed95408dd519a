/* @stage
owner: platform
description: Every event with the columns all teams need, typed and enriched.
partition: hour
inputs:
  raw: {window: same}
contract:
  columns:
    event_id: {not_null: true}
    occurred_at: {not_null: true}
fingerprint:
  entropy: [country, browser]
key: [source, event_id, payload_hash]
*/
SELECT
    source,
    event_id,
    payload_hash,
    type,
    name,
    occurred_at,
    coalesce(user_id, anonymous_id) AS visitor_id,
    session_id,
    geo_country(client_ip) AS country,
    ua_browser(agent) AS browser,
    ua_os(agent) AS os,
    ua_device(agent) AS device,
    coalesce(ua_is_bot(agent), false) AS is_bot,
    coalesce(context ->> '$.page.url', properties ->> '$.url') AS url,
    coalesce(context ->> '$.page.referrer', properties ->> '$.referrer') AS referrer_url,
    coalesce(context ->> '$.page.title', properties ->> '$.title') AS title,
    properties
FROM (
    -- Servers that pass events on say in the context which client they speak for.
    SELECT *, coalesce(context ->> '$.userAgent', user_agent) AS agent FROM raw
)
