/* @stage
owner: trust-and-safety
description: >
  Plays with the probability that nobody listened. Every rule in
  data/spam_rules.csv that fits a play adds its evidence; a new rule there
  classifies all of history again.
partition: hour
inputs:
  plays: {window: same}
  spam_rules: {window: latest}
contract:
  columns:
    spam_score: {not_null: true, min: 0, max: 1}
    is_spam: {not_null: true}
fingerprint:
  entropy: [country, browser]
  measures:
    spam_rate: "avg(is_spam::int)"
    # Of 100 plays at least, so that a few in a quiet hour are no flood.
    doubtful_rate: "count_if(NOT is_spam AND spam_score >= 0.3) / greatest(count(*), 100)"
key: [source, play_id, payload_hash]
*/
SELECT
    *,
    spam_score >= 0.8 AS is_spam
FROM (
    SELECT
        plays.*,
        round(
            1 - (1 - coalesce(by_track.score, 0))
              * (1 - coalesce(by_country.score, 0))
              * (1 - coalesce(by_browser.score, 0))
              * CASE WHEN plays.is_bot THEN 0.1 ELSE 1 END
              * CASE WHEN plays.played_ms < 5000 THEN 0.9 ELSE 1 END,
            6
        )::DOUBLE AS spam_score
    FROM plays
    LEFT JOIN spam_rules AS by_track
        ON by_track.kind = 'track' AND by_track.value = plays.track_id
    LEFT JOIN spam_rules AS by_country
        ON by_country.kind = 'country' AND by_country.value = plays.country
    LEFT JOIN spam_rules AS by_browser
        ON by_browser.kind = 'browser' AND by_browser.value = plays.browser
)
