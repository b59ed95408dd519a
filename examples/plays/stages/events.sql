/* @stage
owner: platform
description: Every event with the columns all teams need, typed and enriched. What breaks its schema is in events_rejected.
partition: hour
inputs:
  raw: {window: same}
  schemas: {window: latest}
rejects: "schema_errors IS NOT NULL"
contract:
  columns:
    event_id: {not_null: true}
    occurred_at: {not_null: true}
fingerprint:
  entropy: [country, browser, app]
key: [source, event_id, payload_hash]
*/
SELECT
    source,
    event_id,
    payload_hash,
    type,
    name,
    occurred_at,
    received_at,
    user_id,
    anonymous_id,
    coalesce(user_id, anonymous_id) AS visitor_id,
    session_id,
    geo_country(client_ip) AS country,
    ua_browser(agent) AS browser,
    ua_os(agent) AS os,
    ua_device(agent) AS device,
    coalesce(ua_is_bot(agent), false) AS is_bot,
    context ->> '$.app.name' AS app,
    context ->> '$.app.version' AS app_version,
    coalesce(url_host(context ->> '$.page.url'), properties ->> '$.site') AS site,
    url_path(context ->> '$.page.url') AS path,
    referrer_host(context ->> '$.page.referrer') AS referrer,
    properties,
    id_conflict,
    time_corrected,
    time_implausible,
    extra ->> '$.schema_version' AS schema_version,
    -- A track event has a schema by its name, any other by its type. Without a version it is held to the newest.
    schema_errors(CASE WHEN type = 'track' THEN name ELSE type END, extra ->> '$.schema_version', properties) AS schema_errors
FROM (
    -- Servers that pass events on say in the context which client they speak for.
    SELECT *, coalesce(context ->> '$.userAgent', user_agent) AS agent FROM raw
)
