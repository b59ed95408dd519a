-- What the events of one hour are like, as few numbers: how many there are of each
-- series and of each part of it that Go has a field for. Nothing is named that fewer
-- than 10 rows have, and only so many of each kind.
WITH agents AS (
    SELECT user_agent, ua_is_bot(user_agent) AS robot
    FROM (SELECT DISTINCT user_agent FROM raw WHERE user_agent IS NOT NULL)
),
e AS (
    SELECT
        source,
        coalesce(nullif(name, ''), type) AS event,
        trim(concat_ws(' ', context ->> '$.app.name', context ->> '$.app.version')) AS version,
        epoch(received_at) - epoch(occurred_at) AS delay,
        coalesce(robot, false) AS robot,
        CASE WHEN user_id IS NOT NULL OR anonymous_id IS NOT NULL THEN hash(coalesce(user_id, anonymous_id)) END AS visitor
    FROM raw LEFT JOIN agents USING (user_agent)
),
counted AS (
    SELECT
        CASE grouping(event, version) WHEN 3 THEN 'source' WHEN 1 THEN 'event' ELSE 'version' END AS what,
        source, event, version, count(*) AS n,
        count(*) FILTER (delay > 10) AS a, count(*) FILTER (delay > 60) AS b, count(*) FILTER (delay > 600) AS c,
        count(*) FILTER (robot) AS d
    FROM e GROUP BY GROUPING SETS ((source), (source, event), (source, version))
),
series AS (
    SELECT *, count(*) OVER (PARTITION BY what) AS of_all
    FROM counted WHERE n >= 10 AND length(coalesce(event, '')) <= 100 AND (version IS NULL OR length(version) BETWEEN 1 AND 64)
    QUALIFY row_number() OVER (PARTITION BY what ORDER BY n DESC, source, event, version)
        <= CASE what WHEN 'source' THEN 20 WHEN 'event' THEN 100 ELSE 80 END
),
crowd AS (
    SELECT source, sum(n) AS n
    FROM (
        SELECT source, count(*) AS n FROM e WHERE visitor IS NOT NULL GROUP BY source, visitor
        QUALIFY row_number() OVER (PARTITION BY source ORDER BY count(*) DESC) <= 10
    ) GROUP BY source
),
-- Fields are counted in some 2,000 events of each name, whichever those are.
sample AS (
    SELECT
        s.source, s.event,
        trim(concat_ws(' ', context ->> '$.app.name', context ->> '$.app.version')) AS version,
        CASE WHEN json_type(properties) = 'OBJECT' THEN properties ELSE '{}'::JSON END AS properties
    FROM raw JOIN series AS s ON s.what = 'event' AND raw.source = s.source AND coalesce(nullif(raw.name, ''), raw.type) = s.event
    WHERE hash(event_id) % s.n < 2000
),
keyed AS (
    SELECT source, event, version, properties, unnest(list_distinct(json_keys(properties))) AS field FROM sample
),
pairs AS (
    SELECT source, event, version, field, CASE WHEN length(value) <= 64 THEN value END AS value
    FROM (
        SELECT *, json_extract_string(properties, '/' || replace(replace(field, '~', '~0'), '/', '~1')) AS value
        FROM keyed WHERE length(field) BETWEEN 1 AND 64
    ) WHERE value IS NOT NULL
),
fields AS (
    SELECT source, event, field, count(*) AS n, count(*) OVER () AS of_all
    FROM pairs GROUP BY source, event, field HAVING count(*) >= 10
    QUALIFY row_number() OVER (ORDER BY count(*) DESC, source, event, field) <= 300
),
vals AS (
    SELECT source, event, field, value, count(*) AS n
    FROM pairs SEMI JOIN fields USING (source, event, field) WHERE value IS NOT NULL
    GROUP BY source, event, field, value HAVING count(*) >= 10
    QUALIFY row_number() OVER (PARTITION BY source, event, field ORDER BY count(*) DESC, value) <= 10
),
versions AS (
    SELECT source, event, version, count(*) AS n FROM sample GROUP BY source, event, version
    QUALIFY row_number() OVER (PARTITION BY source, event ORDER BY count(*) DESC, version) <= 5
),
parts AS (
    SELECT source, event, version, field, count(*) AS n
    FROM pairs SEMI JOIN fields USING (source, event, field) SEMI JOIN versions USING (source, event, version)
    GROUP BY source, event, version, field
)
SELECT what, source, event, version, NULL AS field, NULL AS value, n, a, b, c, d, of_all FROM series
UNION ALL BY NAME SELECT 'crowd' AS what, source, n FROM crowd WHERE source IN (SELECT source FROM series WHERE what = 'source')
UNION ALL BY NAME SELECT 'refused' AS what, source, count(*) AS n FROM quarantine GROUP BY source QUALIFY row_number() OVER (ORDER BY count(*) DESC, source) <= 20
UNION ALL BY NAME SELECT 'sample' AS what, source, event, count(*) AS n FROM sample GROUP BY source, event
UNION ALL BY NAME SELECT 'field' AS what, source, event, field, n, of_all FROM fields
UNION ALL BY NAME SELECT 'value' AS what, source, event, field, value, n FROM vals
UNION ALL BY NAME SELECT 'version of' AS what, source, event, version, n FROM versions
UNION ALL BY NAME SELECT 'part' AS what, source, event, version, field, n FROM parts
