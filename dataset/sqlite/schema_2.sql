-- Versions whose statistics are still to be taken.
CREATE INDEX versions_unsurveyed ON versions (partition_id, number) WHERE fingerprint IS NULL;
