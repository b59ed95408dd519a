/* @stage
owner: marketing
description: Which sites and campaigns sent visitors, per day. Direct visits have no referrer.
partition: day
inputs:
  page_views: {window: same}
key: [day, referrer, campaign_source, campaign]
late: {debounce: 5s}
*/
SELECT
    date_trunc('day', occurred_at)::DATE AS day,
    referrer,
    campaign_source,
    campaign,
    count(*) AS views,
    count(DISTINCT visitor_id) AS visitors
FROM page_views
WHERE referrer IS NOT NULL OR campaign_source IS NOT NULL
GROUP BY ALL
